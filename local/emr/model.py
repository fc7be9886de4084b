"""What the API names: refusals, steps, instances and their ids; knows nothing of processes, threads or HTTP."""

import secrets
import string
import time
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]

STATES = {"STARTING": "PROVISIONING", "WAITING": "RUNNING", "TERMINATED_WITH_ERRORS": "TERMINATED"}


@dataclass(eq=False)
class ApiError(Exception):
    """A refusal in EMR's words. The code is the exception's name in EMR's protocol."""

    message: str
    code: str = "ValidationException"


@dataclass
class Step:
    """One step. `config` is the StepConfig that asked for it; times are seconds since the epoch by the API's names."""

    config: JsonObject
    id: str = field(default_factory=lambda: new_id("s"))
    state: str = "PENDING"
    reason: JsonObject = field(default_factory=dict)
    failure: JsonObject = field(default_factory=dict)
    timeline: dict[str, float] = field(default_factory=lambda: {"CreationDateTime": round(time.time(), 3)})

    def to_api(self) -> JsonObject:
        asked = self.config["HadoopJarStep"]
        properties = {pair.get("Key", ""): pair.get("Value", "") for pair in asked.get("Properties", [])}
        failure = {"FailureDetails": self.failure} if self.failure else {}
        status = {"State": self.state, "StateChangeReason": self.reason, "Timeline": dict(self.timeline)} | failure
        # Where the API leaves the action open: CONTINUE, as the AWS CLI and CDK choose.
        config = {"Args": [], **asked, "Properties": properties}
        return {"ActionOnFailure": "CONTINUE", **self.config, "Id": self.id, "Config": config, "Status": status}


def new_id(prefix: str) -> str:
    """Make an id as EMR writes them, for example j-2AXXXXXXGAPLF."""
    return f"{prefix}-{''.join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(13))}"


class Capacity:
    """The instances a cluster was asked for, in groups or fleets; only names, for this machine plays all of them."""

    def __init__(self, asked: JsonObject) -> None:
        self.is_fleet = "InstanceFleets" in asked
        parts = asked.get("InstanceFleets") or asked.get("InstanceGroups") or _read_short_form(asked)
        self._parts = [_identify(part) for part in parts]
        self.master_instance_id = next((id_ for part in self._parts for id_ in part["instance_ids"]), "i-none")

    def describe_parts(self, state: str, timeline: JsonObject) -> list[JsonObject]:
        status = {"State": STATES.get(state, state), "StateChangeReason": {}, "Timeline": timeline}
        return [part | {"Status": status} for part in self._parts]

    def describe_instances(self, state: str, timeline: JsonObject, asked: JsonObject) -> list[JsonObject]:
        state = "RUNNING" if state == "TERMINATING" else STATES.get(state, state)
        roles = asked.get("InstanceGroupTypes") or [asked.get("InstanceFleetType")]
        part_id = "InstanceFleetId" if self.is_fleet else "InstanceGroupId"
        status = {"Status": {"State": state, "StateChangeReason": {}, "Timeline": timeline}}
        return [
            part | status | {"Id": f"c{each}", "Ec2InstanceId": each, part_id: part["Id"]}
            for part in self._parts
            if (roles == [None] or part["role"] in roles) and asked.get(part_id, part["Id"]) == part["Id"]
            if state in asked.get("InstanceStates", [state])
            for each in part["instance_ids"]
        ]


def _identify(asked: JsonObject) -> JsonObject:
    on_demand, spot = asked.get("TargetOnDemandCapacity", 0), asked.get("TargetSpotCapacity", 0)
    types = asked.get("InstanceTypeConfigs") or [{"InstanceType": asked.get("InstanceType", "unknown")}]
    count = asked.get("InstanceCount", -(-(on_demand + spot) // max(1, types[0].get("WeightedCapacity", 1))))
    role, ids = asked.get("InstanceRole") or asked["InstanceFleetType"], [new_id("i") for _ in range(count)]
    return {
        **{"Market": "SPOT" if spot else "ON_DEMAND", "InstanceType": types[0]["InstanceType"], **asked},
        **{"Id": new_id("if" if "InstanceFleetType" in asked else "ig"), "role": role, "instance_ids": ids},
        **{"InstanceGroupType": role, "RequestedInstanceCount": count, "RunningInstanceCount": count},
        **{"ProvisionedOnDemandCapacity": on_demand, "ProvisionedSpotCapacity": spot},
        "InstanceTypeSpecifications": types,
    }


def _read_short_form(asked: JsonObject) -> list[JsonObject]:
    master, cores = asked["MasterInstanceType"], asked.get("InstanceCount", 1) - 1
    core = {"InstanceRole": "CORE", "InstanceType": asked.get("SlaveInstanceType", master), "InstanceCount": cores}
    return [{"InstanceRole": "MASTER", "InstanceType": master, "InstanceCount": 1}] + [core] * (cores > 0)
