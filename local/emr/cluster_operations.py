"""The operations on one cluster."""

from local.emr.cluster import ENDING, Cluster
from local.emr.model import ApiError, JsonObject, Step, invalid_request, make_page
from local.emr.validation import check_auto_termination, check_managed_scaling, check_steps

GROUP_STATES = {"STARTING": "PROVISIONING", "WAITING": "RUNNING", "TERMINATED_WITH_ERRORS": "TERMINATED"}


def answer_cluster(cluster: Cluster, operation: str, request: JsonObject) -> JsonObject:
    """Carry out an operation. The caller holds the lock of the cluster."""
    match operation:
        case "DescribeCluster":
            return {"Cluster": cluster.describe()}
        case "DescribeStep":
            step = cluster.find_step(request["StepId"])
            if step is None:
                raise invalid_request(f"Step id '{request['StepId']}' is not valid.", "NoSuchStep")
            return {"Step": step.to_api()}
        case "ListSteps":
            ids, states = request.get("StepIds", []), request.get("StepStates", [])
            steps = [step for step in cluster.steps if (not ids or step.id in ids) and (not states or step.state in states)]
            if not ids and not states:  # EMR lists the newest first, but filtered steps in the order of submission
                steps.reverse()
            return make_page("Steps", [step.to_api() for step in steps], request)
        case "ListInstances":
            return make_page("Instances", cluster.instances.describe_instances(_status(cluster), request), request)
        case "ListInstanceGroups" if cluster.instances.is_fleet:
            raise invalid_request("Cluster has fleets; use ListInstanceFleets.", "API_DOES_NOT_SUPPORT_INSTANCE_FLEET_CLUSTERS")
        case "ListInstanceFleets" if not cluster.instances.is_fleet:
            raise invalid_request("Cluster has groups; use ListInstanceGroups.", "API_DOES_NOT_SUPPORT_INSTANCE_GROUP_CLUSTERS")
        case "ListInstanceGroups" | "ListInstanceFleets":
            name = operation.removeprefix("List")
            return make_page(name, cluster.instances.describe_groups(_status(cluster)), request)
        case "ListBootstrapActions":
            scripts = [{**action["ScriptBootstrapAction"], **action} for action in cluster.request.get("BootstrapActions", [])]
            described = [{**script, "ScriptPath": script["Path"], "Args": script.get("Args", [])} for script in scripts]
            return {"BootstrapActions": described}
        case "GetAutoTerminationPolicy" | "GetManagedScalingPolicy":
            name = operation.removeprefix("Get")
            return {name: cluster.policies[name]} if name in cluster.policies else {}
        case "TerminateJobFlows":
            cluster.terminate("USER_REQUEST", "Terminated by user request")
        case "CancelSteps":
            is_gentle = request.get("StepCancellationOption") != "TERMINATE_PROCESS"
            reasons = {step_id: cluster.cancel_step(step_id, is_gentle=is_gentle) for step_id in request["StepIds"]}
            infos = [{"StepId": id_, "Status": "FAILED" if why else "SUBMITTED", "Reason": why} for id_, why in reasons.items()]
            return {"CancelStepsInfoList": infos}
        case "AddTags":
            cluster.tags |= {tag.get("Key", ""): tag.get("Value", "") for tag in request["Tags"]}
        case "RemoveTags":
            cluster.tags = {key: value for key, value in cluster.tags.items() if key not in request["TagKeys"]}
        case _:
            return _modify(cluster, operation, request)
    return {}


def _modify(cluster: Cluster, operation: str, request: JsonObject) -> JsonObject:
    """Carry out an operation that a cluster refuses from the start of its termination."""
    if cluster.state in ENDING:
        raise ApiError("A job flow that is shutting down, terminating, or finished may not be modified.")
    match operation:
        case "AddJobFlowSteps":
            check_steps(request["Steps"], step_concurrency=cluster.step_concurrency)
            steps = [Step(config) for config in request["Steps"]]
            cluster.steps += steps
            return {"StepIds": [step.id for step in steps]}
        case "ModifyCluster":
            check_steps([], step_concurrency=request.get("StepConcurrencyLevel", cluster.step_concurrency))
            cluster.step_concurrency = request.get("StepConcurrencyLevel", cluster.step_concurrency)
            return {"StepConcurrencyLevel": cluster.step_concurrency}
        case "SetTerminationProtection":
            cluster.is_protected = request["TerminationProtected"]
        case "PutAutoTerminationPolicy" | "PutManagedScalingPolicy":
            check_auto_termination(request.get("AutoTerminationPolicy", {}))
            check_managed_scaling(request.get("ManagedScalingPolicy", {}))
            name = operation.removeprefix("Put")
            cluster.policies[name] = request.get(name, {})
        case "RemoveAutoTerminationPolicy" | "RemoveManagedScalingPolicy":
            cluster.policies.pop(operation.removeprefix("Remove"), None)
        case _:
            raise ApiError(f"The EMR emulator lacks {operation}.", "UnknownOperationException")
    return {}


def _status(cluster: Cluster) -> JsonObject:
    """Return the status of the groups and the instances of a cluster."""
    state = GROUP_STATES.get(cluster.state, cluster.state)
    return {"State": state, "StateChangeReason": {}, "Timeline": dict(cluster.timeline)}
