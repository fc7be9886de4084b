"""The operations of the service: they start and find clusters, and hand the rest to the clusters."""

import time
from functools import partial
from pathlib import Path

import boto3
from botocore.utils import parse_timestamp

from local.emr.application_ui import ApplicationUis
from local.emr.cluster import Cluster, read_ended
from local.emr.cluster_operations import answer_cluster
from local.emr.logs import LogStore
from local.emr.model import ApiError, JsonObject, invalid_request, make_page, now
from local.emr.validation import check_run_job_flow

SHUTDOWN_S = 8.0


class Emr:
    """The clusters and the security configurations of one service."""

    def __init__(self, state: Path, *, spark_conf: Path, spark_history: str = "") -> None:
        self.clusters: dict[str, Cluster] = {}
        self._ended_before = read_ended(state)
        self._application_uis = ApplicationUis(spark_history)
        self._security_configurations: dict[str, JsonObject] = {}
        region = boto3.session.Session().region_name or "us-east-1"
        self._make_cluster = partial(Cluster, folder=state, spark_conf=spark_conf, region=region, logs=LogStore())

    def shut_down(self) -> None:
        """Terminate all clusters and wait for them, but not longer than SHUTDOWN_S."""
        deadline = time.monotonic() + SHUTDOWN_S
        for cluster in self.clusters.values():
            cluster.terminate("USER_REQUEST", "The EMR emulator was stopped")
        for cluster in self.clusters.values():
            cluster.thread.join(max(0.0, deadline - time.monotonic()))

    def answer(self, operation: str, request: JsonObject) -> JsonObject:
        """Carry out one operation, or raise ApiError; the answer may have more members than its shape."""
        if operation == "RunJobFlow":
            return self._run_job_flow(request)
        if operation == "ListClusters":
            return self._list_clusters(request)
        if "SecurityConfiguration" in operation:
            return self._answer_security_configuration(operation, request)
        if "PersistentAppUI" in operation:
            return self._application_uis.answer(operation, request, cluster_ids={*self.clusters, *self._ended_before})
        if operation == "DescribeCluster" and request["ClusterId"] in self._ended_before:
            return {"Cluster": self._ended_before[request["ClusterId"]]}
        clusters = self._find_clusters(operation, request)
        if operation == "TerminateJobFlows" and any(cluster.is_protected for cluster in clusters):
            raise ApiError("Could not shut down one or more job flows since they are termination protected.")
        answer = JsonObject()
        for cluster in clusters:  # operations on several clusters answer nothing
            with cluster.changed:
                answer = answer_cluster(cluster, operation, request)
                cluster.changed.notify_all()
        return answer

    def _run_job_flow(self, request: JsonObject) -> JsonObject:
        check_run_job_flow(request)
        cluster = self._make_cluster(request)
        self.clusters[cluster.id] = cluster
        cluster.thread.start()
        return {"JobFlowId": cluster.id, "ClusterArn": cluster.arn}

    def _list_clusters(self, request: JsonObject) -> JsonObject:
        after = parse_timestamp(request.get("CreatedAfter", "0")).timestamp()
        before = parse_timestamp(request.get("CreatedBefore", "1e11")).timestamp()
        found, states = [], request.get("ClusterStates", [])
        for cluster in reversed(list(self.clusters.values())):  # the newest first
            if after <= cluster.timeline["CreationDateTime"] <= before and (not states or cluster.state in states):
                found.append(cluster.describe())
        return make_page("Clusters", found, request)

    def _answer_security_configuration(self, operation: str, request: JsonObject) -> JsonObject:
        """Store, return or delete a security configuration. No cluster applies it."""
        stored = self._security_configurations
        if operation == "ListSecurityConfigurations":
            return make_page("SecurityConfigurations", list(stored.values()), request, id_name="Name")
        name = request["Name"]
        if operation == "CreateSecurityConfiguration":
            if name in stored:
                raise invalid_request(f"Security configuration with name '{name}' already exists.", "DuplicateName")
            stored[name] = {**request, "CreationDateTime": now()}
        if name not in stored:
            raise invalid_request(f"Security configuration with name '{name}' does not exist.", "NoSuchSecurityConfiguration")
        return stored.pop(name) if operation == "DeleteSecurityConfiguration" else stored[name]

    def _find_clusters(self, operation: str, request: JsonObject) -> list[Cluster]:
        """Find the clusters that a request names. EMR's older operations call them job flows and refuse in another way."""
        job_flow_ids = [request["JobFlowId"]] if "JobFlowId" in request else request.get("JobFlowIds", [])
        if any(job_flow_id not in self.clusters for job_flow_id in job_flow_ids):
            raise ApiError("Specified job flow ID does not exist.")
        if job_flow_ids:
            return [self.clusters[job_flow_id] for job_flow_id in job_flow_ids]
        cluster_id = request.get("ClusterId", request.get("ResourceId"))
        if cluster_id is None:
            raise ApiError(f"The EMR emulator lacks {operation}, or the request names no cluster.", "UnknownOperationException")
        if cluster_id not in self.clusters:
            raise invalid_request(f"Cluster id '{cluster_id}' is not valid.", "NoSuchCluster")
        return [self.clusters[cluster_id]]
