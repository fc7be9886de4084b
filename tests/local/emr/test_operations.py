"""The operations of the API, as boto3 calls them. The client of `service` checks every answer against botocore's model."""

import socket
from datetime import timedelta
from typing import Any

import pytest

from local.emr.model import PAGE_SIZE
from tests.local.emr.emr_client import Service, bash, cluster_request, refusal

pytestmark = pytest.mark.slow

GROUPS = [
    {"Name": "m", "InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
    {"InstanceRole": "CORE", "InstanceType": "m5.2xlarge", "InstanceCount": 2, "Market": "SPOT"},
]


def test_a_cluster_is_described_as_requested(service: Service) -> None:
    same = {
        "Applications": [{"Name": "Spark"}],
        "Configurations": [{"Classification": "spark-defaults", "Properties": {"spark.app.name": "x"}}],
        "EbsRootVolumeSize": 40,
        "SecurityConfiguration": "s",
        "ServiceRole": "EMR_DefaultRole",
        "StepConcurrencyLevel": 3,
        "Tags": [{"Key": "project", "Value": "fruits"}],
        "VisibleToAllUsers": False,
    }
    instances = {"Ec2SubnetId": "subnet-1", "Placement": {"AvailabilityZone": "eu-north-1b"}}
    request = cluster_request(Instances=instances, JobFlowRole="EMR_EC2_DefaultRole", **same)
    created = service.emr.run_job_flow(**request)
    service.emr.get_waiter("cluster_running").wait(ClusterId=created["JobFlowId"], WaiterConfig={"Delay": 0.2})
    cluster = service.describe(created["JobFlowId"])
    assert cluster["Status"]["State"] == "WAITING"
    assert cluster["Status"]["StateChangeReason"] == {"Message": "Cluster ready to run steps."}
    assert set(cluster["Status"]["Timeline"]) == {"CreationDateTime", "ReadyDateTime"}
    for member in ("Status", "Id"):
        cluster.pop(member)
    assert cluster == same | {
        "Name": "test",
        "ReleaseLabel": "emr-7.14.0",
        "ClusterArn": created["ClusterArn"],
        "Ec2InstanceAttributes": {
            "Ec2AvailabilityZone": "eu-north-1b",
            "Ec2SubnetId": "subnet-1",
            "IamInstanceProfile": "EMR_EC2_DefaultRole",
        },
        "InstanceCollectionType": "INSTANCE_GROUP",
        "MasterPublicDnsName": socket.gethostname(),
        "AutoTerminate": False,
        "TerminationProtected": False,
        "NormalizedInstanceHours": 0,
    }


@pytest.mark.parametrize(
    ("placement", "zone"),
    [({}, "eu-north-1a"), ({"Placement": {"AvailabilityZones": ["eu-north-1c", "eu-north-1d"]}}, "eu-north-1c")],
)
def test_the_availability_zone_is_chosen(service: Service, placement: dict[str, Any], zone: str) -> None:
    cluster = service.describe(service.run(Instances=placement))
    assert cluster["Ec2InstanceAttributes"]["Ec2AvailabilityZone"] == zone


def test_instance_groups(service: Service) -> None:
    cluster_id = service.run(Instances={"InstanceGroups": GROUPS})
    service.wait_for_state(cluster_id, "WAITING")
    groups = service.emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    assert [(group["RunningInstanceCount"], group["Market"]) for group in groups] == [(1, "ON_DEMAND"), (2, "SPOT")]
    assert len(service.emr.list_instances(ClusterId=cluster_id)["Instances"]) == 3
    selected = service.emr.list_instances(ClusterId=cluster_id, InstanceGroupTypes=["CORE"], InstanceStates=["RUNNING"])
    assert [instance["InstanceGroupId"] for instance in selected["Instances"]] == [groups[1]["Id"]] * 2
    assert service.emr.list_instances(ClusterId=cluster_id, InstanceStates=["TERMINATED"])["Instances"] == []
    assert refusal(service.emr.list_instance_fleets, ClusterId=cluster_id)[0] == "InvalidRequestException"


def test_instance_groups_in_the_short_form(service: Service) -> None:
    instances = {"MasterInstanceType": "m5.xlarge", "SlaveInstanceType": "c5.xlarge", "InstanceCount": 3}
    cluster_id = service.emr.run_job_flow(Name="short", ReleaseLabel="emr-7.14.0", Instances=instances)["JobFlowId"]
    groups = service.emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    assert [(group["InstanceType"], group["RequestedInstanceCount"]) for group in groups] == [("m5.xlarge", 1), ("c5.xlarge", 2)]


def test_instance_fleets(service: Service) -> None:
    fleets = [
        {
            "InstanceFleetType": role,
            "TargetOnDemandCapacity": capacity,
            "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge", "WeightedCapacity": weight}],
        }
        for role, capacity, weight in (("MASTER", 1, 1), ("CORE", 5, 2))
    ]
    request = {"Name": "fleets", "ReleaseLabel": "emr-7.14.0", "Instances": {"InstanceFleets": fleets}}
    cluster_id = service.emr.run_job_flow(**request)["JobFlowId"]
    assert service.wait_for_end(cluster_id)["InstanceCollectionType"] == "INSTANCE_FLEET"
    described = service.emr.list_instance_fleets(ClusterId=cluster_id)["InstanceFleets"]
    assert [fleet["InstanceTypeSpecifications"][0]["WeightedCapacity"] for fleet in described] == [1, 2]
    instances = service.emr.list_instances(ClusterId=cluster_id, InstanceFleetType="CORE")["Instances"]
    assert [instance["InstanceFleetId"] for instance in instances] == [described[1]["Id"]] * 3
    assert refusal(service.emr.list_instance_groups, ClusterId=cluster_id)[0] == "InvalidRequestException"


def test_bootstrap_actions_and_tags(service: Service) -> None:
    actions = [{"Name": "b", "ScriptBootstrapAction": {"Path": "/dev/null"}}]
    cluster_id = service.run(BootstrapActions=actions, Tags=[{"Key": "project", "Value": "fruits"}])
    described = service.emr.list_bootstrap_actions(ClusterId=cluster_id)["BootstrapActions"]
    assert described == [{"Name": "b", "ScriptPath": "/dev/null", "Args": []}]
    service.emr.add_tags(ResourceId=cluster_id, Tags=[{"Key": "owner", "Value": "me"}])
    service.emr.remove_tags(ResourceId=cluster_id, TagKeys=["project"])
    assert service.describe(cluster_id)["Tags"] == [{"Key": "owner", "Value": "me"}]


def test_policies(service: Service) -> None:
    emr = service.emr
    cluster_id = service.run(AutoTerminationPolicy={"IdleTimeout": 3600})
    limits = {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 4}
    scaling = {"ManagedScalingPolicy": {"ComputeLimits": limits}}
    assert policy(emr.get_managed_scaling_policy, cluster_id) == {}
    emr.put_managed_scaling_policy(ClusterId=cluster_id, **scaling)
    assert policy(emr.get_managed_scaling_policy, cluster_id) == scaling
    emr.remove_managed_scaling_policy(ClusterId=cluster_id)
    assert policy(emr.get_managed_scaling_policy, cluster_id) == {}

    assert policy(emr.get_auto_termination_policy, cluster_id) == {"AutoTerminationPolicy": {"IdleTimeout": 3600}}
    too_short = {"IdleTimeout": 59}
    refused = refusal(emr.put_auto_termination_policy, ClusterId=cluster_id, AutoTerminationPolicy=too_short)
    assert refused == ("ValidationException", "IdleTimeout is 59; expected 60 to 604800 seconds.")
    emr.put_auto_termination_policy(ClusterId=cluster_id, AutoTerminationPolicy={"IdleTimeout": 60})
    assert policy(emr.get_auto_termination_policy, cluster_id) == {"AutoTerminationPolicy": {"IdleTimeout": 60}}
    emr.remove_auto_termination_policy(ClusterId=cluster_id)
    assert policy(emr.get_auto_termination_policy, cluster_id) == {}


def policy(get: Any, cluster_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = get(ClusterId=cluster_id)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_steps_are_listed_by_pages_the_newest_first(service: Service) -> None:
    cluster_id = service.run()
    [first_id] = service.emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[bash("hello", "echo hello")])["StepIds"]
    assert len(cluster_id) == len(first_id) == 15
    first = service.wait_for_step(cluster_id, first_id)
    assert first["Config"] == {"Jar": "command-runner.jar", "Args": ["bash", "-c", "echo hello"], "Properties": {}}
    assert first["Status"]["State"] == "COMPLETED"
    assert set(first["Status"]["Timeline"]) == {"CreationDateTime", "StartDateTime", "EndDateTime"}
    [info] = service.emr.cancel_steps(ClusterId=cluster_id, StepIds=[first_id])["CancelStepsInfoList"]
    assert info["Status"] == "FAILED" and "COMPLETED" in info["Reason"]

    many = [bash(f"{number}", "sleep 100") for number in range(PAGE_SIZE + 5)]
    ids = [first_id, *service.emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=many)["StepIds"]]
    page = service.emr.list_steps(ClusterId=cluster_id)
    rest = service.emr.list_steps(ClusterId=cluster_id, Marker=page["Marker"])
    assert [step["Id"] for step in page["Steps"] + rest["Steps"]] == ids[::-1]
    assert len(page["Steps"]) == PAGE_SIZE and "Marker" not in rest
    [by_id] = service.emr.list_steps(ClusterId=cluster_id, StepIds=[first_id])["Steps"]
    assert by_id["Id"] == first_id
    pages = service.emr.get_paginator("list_steps").paginate(ClusterId=cluster_id, StepStates=["PENDING", "RUNNING"])
    assert [step["Id"] for page in pages for step in page["Steps"]] == ids[1:]
    with pytest.raises(service.emr.exceptions.InvalidRequestException, match="Step id 's-NO' is not valid"):
        service.emr.describe_step(ClusterId=cluster_id, StepId="s-NO")


def test_a_protected_cluster_ends_when_protection_is_removed(service: Service) -> None:
    emr = service.emr
    cluster_id = service.run(Instances={"TerminationProtected": True})
    assert service.describe(cluster_id)["TerminationProtected"]
    code, message = refusal(emr.terminate_job_flows, JobFlowIds=[cluster_id])
    assert code == "ValidationException" and "termination protected" in message
    emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
    service.wait_for_state(cluster_id, "WAITING")
    assert cluster_id in cluster_ids(service, ClusterStates=["RUNNING", "WAITING"])
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    assert service.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"
    assert cluster_id not in cluster_ids(service, ClusterStates=["RUNNING", "WAITING"])
    closed = "A job flow that is shutting down, terminating, or finished may not be modified."
    assert refusal(emr.add_job_flow_steps, JobFlowId=cluster_id, Steps=[bash("late", "true")]) == ("ValidationException", closed)


def test_clusters_are_listed_by_the_time_of_their_creation(service: Service) -> None:
    cluster_id = service.run(Instances={"KeepJobFlowAliveWhenNoSteps": False})
    timeline = service.wait_for_end(cluster_id)["Status"]["Timeline"]
    after_end = timeline["EndDateTime"] + timedelta(seconds=1)
    assert cluster_id in cluster_ids(service, CreatedAfter=timeline["CreationDateTime"], CreatedBefore=after_end)
    assert cluster_id not in cluster_ids(service, CreatedAfter=after_end)


def cluster_ids(service: Service, **request: Any) -> set[str]:
    pages = service.emr.get_paginator("list_clusters").paginate(**request)
    return {cluster["Id"] for page in pages for cluster in page["Clusters"]}


def test_modify_cluster_changes_the_step_concurrency(service: Service) -> None:
    wait_for_b = "for _ in $(seq 100); do [ -e b ] && exit 0; sleep 0.1; done; exit 1"
    cluster_id = service.run(Steps=[bash("a", wait_for_b), bash("b", "touch b")])
    answer = service.emr.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=2)
    assert answer["StepConcurrencyLevel"] == 2
    assert service.wait_for_state(cluster_id, "WAITING")["StepConcurrencyLevel"] == 2
    assert service.step_states(cluster_id) == ["COMPLETED", "COMPLETED"]
    refused = refusal(service.emr.modify_cluster, ClusterId=cluster_id, StepConcurrencyLevel=257)
    assert refused == ("ValidationException", "StepConcurrencyLevel is 257; expected 1 to 256.")


def test_action_on_failure_is_ignored_when_steps_run_side_by_side(service: Service) -> None:
    fails = bash("fails", "until [ -e go ]; do sleep 0.1; done; exit 1", "TERMINATE_CLUSTER")
    cluster_id = service.run(Steps=[fails])
    service.emr.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=2)
    service.wait_for_state(cluster_id, "RUNNING")
    (service.state / cluster_id / "node" / "go").touch()
    assert service.wait_for_state(cluster_id, "WAITING", "TERMINATED_WITH_ERRORS")["Status"]["State"] == "WAITING"
    assert service.step_states(cluster_id) == ["FAILED"]


def test_security_configurations(service: Service) -> None:
    emr, text = service.emr, '{"EncryptionConfiguration": {"EnableAtRestEncryption": false}}'
    names = [f"pear-{number:02}" for number in range(PAGE_SIZE + 1)]
    for name in names:
        created = emr.create_security_configuration(Name=name, SecurityConfiguration=text)
    assert created["Name"] == names[-1]
    described = emr.describe_security_configuration(Name=names[-1])
    assert described["SecurityConfiguration"] == text
    assert described["CreationDateTime"] == created["CreationDateTime"]
    pages = emr.get_paginator("list_security_configurations").paginate()
    assert [each["Name"] for page in pages for each in page["SecurityConfigurations"]] == names

    code, message = refusal(emr.create_security_configuration, Name=names[0], SecurityConfiguration=text)
    assert (code, message) == ("InvalidRequestException", "Security configuration with name 'pear-00' already exists.")
    emr.delete_security_configuration(Name=names[0])
    gone = ("InvalidRequestException", "Security configuration with name 'pear-00' does not exist.")
    assert refusal(emr.describe_security_configuration, Name=names[0]) == gone
    assert refusal(emr.delete_security_configuration, Name=names[0]) == gone
