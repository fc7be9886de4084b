"""What each EMR operation does with a request that fits its shape; knows neither HTTP nor JSON."""

import time
from functools import partial
from pathlib import Path

import boto3
from botocore.utils import parse_timestamp

from local.emr.cluster import ENDING, Cluster
from local.emr.logs import S3_URI, LogStore
from local.emr.model import ApiError, JsonObject, Step

PAGE_SIZE, SHUTDOWN_S = 50, 8.0
ID_NAMES = ("ClusterId", "ResourceId", "JobFlowId")
WAYS_TO_ASK = ("InstanceGroups", "InstanceFleets", "MasterInstanceType")


class Emr:
    """The clusters of one service."""

    def __init__(self, state: Path, *, spark_conf: Path) -> None:
        region = boto3.session.Session().region_name or "us-east-1"
        self._make_cluster = partial(Cluster, state=state, spark_conf=spark_conf, region=region, logs=LogStore())
        self.clusters: dict[str, Cluster] = {}

    def shut_down(self) -> None:
        deadline = time.monotonic() + SHUTDOWN_S
        for cluster in self.clusters.values():
            cluster.terminate("USER_REQUEST", "The EMR stand-in was stopped")
        for cluster in self.clusters.values():
            cluster.thread.join(max(0.0, deadline - time.monotonic()))

    def answer(self, operation: str, asked: JsonObject) -> JsonObject:
        """Carry out one operation; the answer may hold more than its shape. Raises ApiError to refuse."""
        if operation in ("RunJobFlow", "ListClusters"):
            return self._run_job_flow(asked) if operation == "RunJobFlow" else self._list_clusters(asked)
        ids = asked.get("JobFlowIds") or [asked[name] for name in ID_NAMES if name in asked]
        if unknown := [id_ for id_ in ids if id_ not in self.clusters]:
            raise ApiError(f"Cluster id '{unknown[0]}' is not valid.", "InvalidRequestException")
        if not (clusters := [self.clusters[id_] for id_ in ids]):
            raise ApiError(f"{operation} names no cluster, or this stand-in lacks it.", "UnknownOperationException")
        if operation == "TerminateJobFlows" and any(cluster.is_protected for cluster in clusters):
            raise ApiError("Could not shut down one or more job flows since they are termination protected.")
        for cluster in clusters:
            with cluster.changed:
                answer = ask_cluster(cluster, operation, asked)
                cluster.changed.notify_all()
        return answer  # of several clusters only operations that answer nothing are asked

    def _run_job_flow(self, asked: JsonObject) -> JsonObject:
        ways = [way for way in WAYS_TO_ASK if way in asked["Instances"]]
        for is_right, expected in (
            (asked.get("ReleaseLabel"), "ReleaseLabel: expected one such as emr-7.14.0"),
            (len(ways) == 1, f"Instances has {ways}; expected exactly one of {', '.join(WAYS_TO_ASK)}"),
            (1 <= asked.get("StepConcurrencyLevel", 1) <= 256, "StepConcurrencyLevel: expected 1 to 256"),
            (S3_URI.fullmatch(asked.get("LogUri", "s3://none")), f"LogUri {asked.get('LogUri')}: expected s3://bucket/prefix"),
        ):
            if not is_right:
                raise ApiError(f"Invalid or missing {expected}.")
        _check(steps=asked.get("Steps", []), policy=asked.get("AutoTerminationPolicy", {}), cluster=asked)
        cluster = self._make_cluster(asked)
        self.clusters[cluster.id] = cluster
        cluster.thread.start()
        return {"JobFlowId": cluster.id, "ClusterArn": cluster.arn}

    def _list_clusters(self, asked: JsonObject) -> JsonObject:
        after, before = parse_timestamp(asked.get("CreatedAfter", "0")), parse_timestamp(asked.get("CreatedBefore", "1e11"))
        found = [
            cluster.to_api()
            for cluster in reversed(list(self.clusters.values()))
            if cluster.state in (asked.get("ClusterStates") or [cluster.state])
            if after.timestamp() <= cluster.timeline["CreationDateTime"] <= before.timestamp()
        ]
        return _page("Clusters", found, asked)


def ask_cluster(cluster: Cluster, operation: str, asked: JsonObject) -> JsonObject:
    """Carry out an operation on one cluster, whose lock is held."""
    capacity, state, timeline = cluster.capacity, cluster.state, dict(cluster.timeline)
    match operation:
        case "DescribeCluster":
            return {"Cluster": cluster.to_api()}
        case "DescribeStep":
            if found := [step.to_api() for step in cluster.steps if step.id == asked["StepId"]]:
                return {"Step": found[0]}
            raise ApiError(f"Step id '{asked['StepId']}' is not valid.", "InvalidRequestException")
        case "ListSteps":
            ids, states = asked.get("StepIds", []), asked.get("StepStates", [])
            steps = cluster.steps if ids or states else cluster.steps[::-1]  # as EMR orders them
            steps = [step for step in steps if step.id in (ids or [step.id]) and step.state in (states or [step.state])]
            return _page("Steps", [step.to_api() for step in steps], asked)
        case "ListInstances":
            return _page("Instances", capacity.describe_instances(state, timeline, asked), asked)
        case "ListInstanceGroups" | "ListInstanceFleets":
            if capacity.is_fleet != operation.endswith("Fleets"):
                raise ApiError(f"{operation}: the cluster was made in the other way.", "InvalidRequestException")
            return _page(operation.removeprefix("List"), capacity.describe_parts(state, timeline), asked)
        case "ListBootstrapActions":
            actions = cluster.request.get("BootstrapActions", [])
            scripts = [{"Args": []} | action["ScriptBootstrapAction"] | action for action in actions]
            return {"BootstrapActions": [script | {"ScriptPath": script["Path"]} for script in scripts]}
        case "GetAutoTerminationPolicy" | "GetManagedScalingPolicy":
            return {name: policy for name, policy in cluster.policies.items() if operation == f"Get{name}"}
        case "TerminateJobFlows":
            cluster.terminate("USER_REQUEST", "Terminated by user request")
        case "CancelSteps":
            is_gentle = asked.get("StepCancellationOption") != "TERMINATE_PROCESS"
            whys = {id_: cluster.cancel(id_, is_gentle=is_gentle) for id_ in asked["StepIds"]}
            infos = [{"StepId": id_, "Status": "FAILED" if why else "SUBMITTED", "Reason": why} for id_, why in whys.items()]
            return {"CancelStepsInfoList": infos}
        case "AddTags":
            cluster.tags = cluster.tags | {tag.get("Key", ""): tag.get("Value", "") for tag in asked["Tags"]}
        case "RemoveTags":
            cluster.tags = {key: value for key, value in cluster.tags.items() if key not in asked["TagKeys"]}
        case _ if state in ENDING:
            raise ApiError("A job flow that is shutting down, terminating, or finished may not be modified.")
        case "AddJobFlowSteps":
            _check(steps=asked["Steps"], policy={}, cluster=cluster.request)
            added = [Step(config) for config in asked["Steps"]]
            cluster.steps += added
            return {"StepIds": [step.id for step in added]}
        case "SetTerminationProtection":
            cluster.is_protected = asked["TerminationProtected"]
        case "PutAutoTerminationPolicy" | "PutManagedScalingPolicy":
            _check(steps=[], policy=asked.get(name := operation.removeprefix("Put"), {}), cluster={})
            cluster.policies[name] = asked.get(name, {})
        case "RemoveAutoTerminationPolicy" | "RemoveManagedScalingPolicy":
            cluster.policies.pop(operation.removeprefix("Remove"), None)
        case _:
            raise ApiError(f"This EMR stand-in lacks {operation}.", "UnknownOperationException")
    return {}


def _page(name: str, found: list[JsonObject], asked: JsonObject) -> JsonObject:
    """Cut a list into pages; a Marker is the id of the last entry seen, so that new entries shift nothing."""
    ids: list[str | None] = [None, *(entry["Id"] for entry in found)]
    if asked.get("Marker") not in ids:
        raise ApiError("Invalid marker", "InvalidRequestException")
    rest = found[ids.index(asked.get("Marker")) :]
    return {name: rest[:PAGE_SIZE]} | ({"Marker": rest[PAGE_SIZE - 1]["Id"]} if len(rest) > PAGE_SIZE else {})


def _check(*, steps: list[JsonObject], policy: JsonObject, cluster: JsonObject) -> None:
    actions = {step.get("ActionOnFailure", "CONTINUE") for step in steps} - {"CONTINUE"}
    if actions and cluster.get("StepConcurrencyLevel", 1) > 1:
        raise ApiError(f"ActionOnFailure {actions} is not valid where StepConcurrencyLevel is greater than 1.")
    if not 60 <= policy.get("IdleTimeout", 3600) <= 604_800:
        raise ApiError(f"IdleTimeout is {policy['IdleTimeout']}; expected 60 to 604800 seconds.")
