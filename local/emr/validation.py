"""The rules of EMR that a request must meet beyond its shape, which the server checks."""

from local.emr.logs import S3_URI
from local.emr.model import DEFAULT_ACTION, ApiError, JsonObject

INSTANCE_FORMS = ("InstanceGroups", "InstanceFleets", "MasterInstanceType")


def check_run_job_flow(request: JsonObject) -> None:
    """Raise ApiError if EMR would refuse the cluster."""
    if not request.get("ReleaseLabel"):
        raise ApiError("Invalid or missing ReleaseLabel: expected one such as emr-7.14.0.")
    if "AmiVersion" in request:
        raise ApiError("Only one AMI version and release label may be specified.")
    forms = [form for form in INSTANCE_FORMS if request["Instances"].get(form)]
    if len(forms) != 1:
        raise ApiError(f"Instances has {forms}; expected exactly one of {', '.join(INSTANCE_FORMS)}.")
    for group in request["Instances"].get("InstanceGroups", []):
        if group["InstanceRole"] == "MASTER" and group["InstanceCount"] not in (1, 3):
            raise ApiError("Master instance group must have exactly 3 instances for HA clusters.")
    if not S3_URI.fullmatch(request.get("LogUri", "s3://none")):
        raise ApiError(f"LogUri is {request['LogUri']}; expected s3://bucket/prefix.")
    check_steps(request.get("Steps", []), step_concurrency=request.get("StepConcurrencyLevel", 1))
    check_auto_termination(request.get("AutoTerminationPolicy", {}))
    check_managed_scaling(request.get("ManagedScalingPolicy", {}))


def check_steps(steps: list[JsonObject], *, step_concurrency: int) -> None:
    """Raise ApiError if a cluster cannot run this number of steps, or these steps, side by side."""
    if not 1 <= step_concurrency <= 256:
        raise ApiError(f"StepConcurrencyLevel is {step_concurrency}; expected 1 to 256.")
    actions = {step.get("ActionOnFailure", DEFAULT_ACTION) for step in steps} - {"CONTINUE"}
    if actions and step_concurrency > 1:
        raise ApiError(f"ActionOnFailure {sorted(actions)} is not valid where StepConcurrencyLevel is greater than 1.")


def check_auto_termination(policy: JsonObject) -> None:
    """Raise ApiError if the idle timeout is out of range."""
    if not 60 <= policy.get("IdleTimeout", 3600) <= 604_800:
        raise ApiError(f"IdleTimeout is {policy['IdleTimeout']}; expected 60 to 604800 seconds.")


def check_managed_scaling(policy: JsonObject) -> None:
    """Raise ApiError if the limits contradict one another."""
    limits = policy.get("ComputeLimits")
    if not limits:
        return
    least, most = limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]
    if not 1 <= least <= most:
        raise ApiError(f"MinimumCapacityUnits is {least}; expected 1 to MaximumCapacityUnits, {most}.")
    for name in ("MaximumOnDemandCapacityUnits", "MaximumCoreCapacityUnits"):
        if limits.get(name, 0) > most:
            raise ApiError(f"{name} is {limits[name]}; expected at most MaximumCapacityUnits, {most}.")
