"""The instance groups or fleets of a cluster. They exist in the API only: this machine runs everything."""

import math
import socket

from local.emr.model import JsonObject, new_id

HOST_NAME = socket.gethostname()


class Instances:
    """All instances of one cluster. The server removes the keys `role` and `instance_ids` of a group from its answers."""

    def __init__(self, request: JsonObject) -> None:
        self.is_fleet = "InstanceFleets" in request
        if self.is_fleet:
            self._groups = [_make_fleet(fleet) for fleet in request["InstanceFleets"]]
        else:
            self._groups = [_make_group(group) for group in request.get("InstanceGroups") or _expand_short_form(request)]
        ids = [instance_id for group in self._groups if group["role"] == "MASTER" for instance_id in group["instance_ids"]]
        self.master_instance_id: str = ids[0] if ids else "i-none"

    def describe_groups(self, status: JsonObject) -> list[JsonObject]:
        return [{**group, "Status": status} for group in self._groups]

    def describe_instances(self, status: JsonObject, request: JsonObject) -> list[JsonObject]:
        """Describe the instances that match the filters of a ListInstances request."""
        if status["State"] == "TERMINATING":  # a state of groups only
            status = {**status, "State": "RUNNING"}
        if status["State"] not in request.get("InstanceStates", [status["State"]]):
            return []
        id_name = "InstanceFleetId" if self.is_fleet else "InstanceGroupId"
        roles = request.get("InstanceGroupTypes", [])
        if "InstanceFleetType" in request:
            roles = [request["InstanceFleetType"]]
        described = []
        for group in self._groups:
            if (roles and group["role"] not in roles) or request.get(id_name, group["Id"]) != group["Id"]:
                continue
            names = {id_name: group["Id"], "PublicDnsName": HOST_NAME, "PrivateDnsName": HOST_NAME}
            for instance_id in group["instance_ids"]:
                instance = {**group, **names, "Id": f"c{instance_id}", "Ec2InstanceId": instance_id, "Status": status}
                described.append(instance)
        return described


def _make_group(request: JsonObject) -> JsonObject:
    count = request["InstanceCount"]
    description = {"Market": "ON_DEMAND", **request, "RequestedInstanceCount": count, "RunningInstanceCount": count}
    return _add_instances(description, role=request["InstanceRole"], count=count, id_prefix="ig")


def _make_fleet(request: JsonObject) -> JsonObject:
    """Fill a fleet with instances of the first of its types."""
    on_demand, spot = request.get("TargetOnDemandCapacity", 0), request.get("TargetSpotCapacity", 0)
    types = request.get("InstanceTypeConfigs") or [{"InstanceType": "unknown"}]
    count = math.ceil((on_demand + spot) / max(1, types[0].get("WeightedCapacity", 1)))
    description = {
        **request,
        "Market": "SPOT" if spot else "ON_DEMAND",
        "InstanceType": types[0]["InstanceType"],
        "InstanceTypeSpecifications": types,
        "ProvisionedOnDemandCapacity": on_demand,
        "ProvisionedSpotCapacity": spot,
    }
    return _add_instances(description, role=request["InstanceFleetType"], count=count, id_prefix="if")


def _add_instances(description: JsonObject, *, role: str, count: int, id_prefix: str) -> JsonObject:
    ids = [new_id("i") for _ in range(count)]
    return {**description, "Id": new_id(id_prefix), "InstanceGroupType": role, "role": role, "instance_ids": ids}


def _expand_short_form(request: JsonObject) -> list[JsonObject]:
    """Turn MasterInstanceType, SlaveInstanceType and InstanceCount into instance groups."""
    master = {"InstanceRole": "MASTER", "InstanceType": request["MasterInstanceType"], "InstanceCount": 1}
    core_count = request.get("InstanceCount", 1) - 1
    if core_count < 1:
        return [master]
    core_type = request.get("SlaveInstanceType", request["MasterInstanceType"])
    return [master, {"InstanceRole": "CORE", "InstanceType": core_type, "InstanceCount": core_count}]
