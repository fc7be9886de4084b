"""What the service says: a whole conversation by boto3, and how it refuses."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from local.emr.model import PAGE_SIZE
from tests.local.emr.emr_client import Service, bash, cluster_request, wait_for_end, wait_for_step

pytestmark = pytest.mark.slow

SERVICE: Any = botocore.session.Session().get_service_model("emr")


def find_gaps(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Name what the model requires or does not know, all the way down."""
    if shape.type_name == "structure":
        yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
        for name, member in value.items():
            if name not in shape.members:
                yield f"{path}.{name} is unknown"
            else:
                yield from find_gaps(member, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for number, member in enumerate(value):
            yield from find_gaps(member, shape.member, f"{path}[{number}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path} is {value}; expected one of {shape.enum}"


class Checked:
    """An EMR client whose every answer is held against the model."""

    def __init__(self, emr: Any) -> None:
        self._emr = emr
        self.called: set[str] = set()
        self._operations = {xform_name(name): name for name in SERVICE.operation_names}

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            answer = getattr(self._emr, name)(**request)
            answer.pop("ResponseMetadata")
            operation = self._operations[name]
            self.called.add(operation)
            shape = SERVICE.operation_model(operation).output_shape
            assert list(find_gaps(answer, shape, operation) if shape else answer) == []
            return answer

        return call


def send(service: Service, target: str, body: bytes | dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
    """Send a request as it is, past boto3's own checks."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(service.url, data, {"X-Amz-Target": target, **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text.startswith(b"{") else {"text": text.decode()}


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_conversation(service: Service) -> None:
    emr = Checked(service.emr)

    # A cluster that is told everything gives it back.
    groups = [
        {"Name": "m", "InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
        {"InstanceRole": "CORE", "InstanceType": "m5.2xlarge", "InstanceCount": 2, "Market": "SPOT"},
    ]
    asked = cluster_request(
        Instances={"InstanceGroups": groups, "TerminationProtected": True, "Ec2SubnetId": "subnet-1"},
        Applications=[{"Name": "Spark"}],
        Configurations=[{"Classification": "spark-defaults", "Properties": {"spark.app.name": "x"}}],
        Tags=[{"Key": "project", "Value": "fruits"}],
        BootstrapActions=[{"Name": "b", "ScriptBootstrapAction": {"Path": "/dev/null"}}],
        JobFlowRole="EMR_EC2_DefaultRole",
        ServiceRole="EMR_DefaultRole",
        EbsRootVolumeSize=40,
        SecurityConfiguration="s",
        AutoTerminationPolicy={"IdleTimeout": 3600},
    )
    created = emr.run_job_flow(**asked)
    cluster_id = created["JobFlowId"]
    [step_id] = emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[bash("hello", "echo hello")])["StepIds"]
    assert len(cluster_id) == len(step_id) == 15
    step = wait_for_step(service, cluster_id, step_id)
    assert step["Config"] == {"Jar": "command-runner.jar", "Args": ["bash", "-c", "echo hello"], "Properties": {}}
    assert set(step["Status"]["Timeline"]) == {"CreationDateTime", "StartDateTime", "EndDateTime"}
    assert emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]["Status"]["State"] == "COMPLETED"

    service.emr.get_waiter("cluster_running").wait(ClusterId=cluster_id)
    cluster = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]
    for name in asked.keys() & SERVICE.shape_for("Cluster").members.keys():
        assert cluster[name] == asked[name]
    assert cluster["Status"]["State"] == "WAITING"
    assert cluster["Status"]["StateChangeReason"] == {"Message": "Cluster ready after last step completed."}
    assert cluster["ClusterArn"] == created["ClusterArn"]
    assert cluster["Ec2InstanceAttributes"]["IamInstanceProfile"] == "EMR_EC2_DefaultRole"
    assert cluster["Ec2InstanceAttributes"]["Ec2SubnetId"] == "subnet-1"
    assert (cluster["AutoTerminate"], cluster["TerminationProtected"]) == (False, True)
    assert cluster["InstanceCollectionType"] == "INSTANCE_GROUP"

    # Its instances and bootstrap actions.
    described = emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    assert [group["RunningInstanceCount"] for group in described] == [1, 2]
    assert len(emr.list_instances(ClusterId=cluster_id)["Instances"]) == 3
    core = emr.list_instances(ClusterId=cluster_id, InstanceGroupTypes=["CORE"], InstanceStates=["RUNNING"])["Instances"]
    assert {instance["InstanceGroupId"] for instance in core} == {described[1]["Id"]}
    assert refusal(emr.list_instance_fleets, ClusterId=cluster_id)[0] == "InvalidRequestException"
    [action] = emr.list_bootstrap_actions(ClusterId=cluster_id)["BootstrapActions"]
    assert action == {"Name": "b", "ScriptPath": "/dev/null", "Args": []}

    # Tags and policies.
    emr.add_tags(ResourceId=cluster_id, Tags=[{"Key": "owner", "Value": "me"}])
    emr.remove_tags(ResourceId=cluster_id, TagKeys=["project"])
    assert emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Tags"] == [{"Key": "owner", "Value": "me"}]
    limits = {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 4}
    scaling = {"ManagedScalingPolicy": {"ComputeLimits": limits}}
    assert emr.get_managed_scaling_policy(ClusterId=cluster_id) == {}
    emr.put_managed_scaling_policy(ClusterId=cluster_id, **scaling)
    assert emr.get_managed_scaling_policy(ClusterId=cluster_id) == scaling
    emr.remove_managed_scaling_policy(ClusterId=cluster_id)
    assert emr.get_managed_scaling_policy(ClusterId=cluster_id) == {}
    assert emr.get_auto_termination_policy(ClusterId=cluster_id) == {"AutoTerminationPolicy": {"IdleTimeout": 3600}}
    too_short = {"IdleTimeout": 59}
    refused = refusal(emr.put_auto_termination_policy, ClusterId=cluster_id, AutoTerminationPolicy=too_short)
    assert refused == ("ValidationException", "IdleTimeout is 59; expected 60 to 604800 seconds.")
    emr.put_auto_termination_policy(ClusterId=cluster_id, AutoTerminationPolicy={"IdleTimeout": 60})
    assert emr.get_auto_termination_policy(ClusterId=cluster_id) == {"AutoTerminationPolicy": {"IdleTimeout": 60}}
    emr.remove_auto_termination_policy(ClusterId=cluster_id)
    assert emr.get_auto_termination_policy(ClusterId=cluster_id) == {}

    # A finished step cannot be cancelled; more steps come by pages, the newest first.
    [info] = emr.cancel_steps(ClusterId=cluster_id, StepIds=[step_id])["CancelStepsInfoList"]
    assert info["Status"] == "FAILED" and "COMPLETED" in info["Reason"]
    many = [bash(f"{number}", "sleep 100") for number in range(PAGE_SIZE + 5)]
    ids = [step_id, *emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=many)["StepIds"]]
    first = emr.list_steps(ClusterId=cluster_id)
    second = emr.list_steps(ClusterId=cluster_id, Marker=first["Marker"])
    assert [step["Id"] for step in first["Steps"] + second["Steps"]] == ids[::-1]
    assert len(first["Steps"]) == PAGE_SIZE and "Marker" not in second
    [one] = emr.list_steps(ClusterId=cluster_id, StepIds=[step_id])["Steps"]
    assert one["Id"] == step_id
    pages = service.emr.get_paginator("list_steps").paginate(ClusterId=cluster_id, StepStates=["PENDING", "RUNNING"])
    assert [step["Id"] for page in pages for step in page["Steps"]] == ids[1:]

    # It ends when protection is taken away.
    code, message = refusal(emr.terminate_job_flows, JobFlowIds=[cluster_id])
    assert code == "ValidationException" and "termination protected" in message
    emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
    assert cluster_id in {each["Id"] for each in emr.list_clusters(ClusterStates=["RUNNING", "WAITING"])["Clusters"]}
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    assert wait_for_end(service, cluster_id)["Status"]["State"] == "TERMINATED"
    refused = refusal(emr.add_job_flow_steps, JobFlowId=cluster_id, Steps=[bash("late", "true")])
    closed = "A job flow that is shutting down, terminating, or finished may not be modified."
    assert refused == ("ValidationException", closed)
    ended = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["Timeline"]
    end = ended["EndDateTime"] + timedelta(seconds=1)
    after = emr.list_clusters(CreatedAfter=end)["Clusters"]
    around = emr.list_clusters(CreatedAfter=ended["CreationDateTime"], CreatedBefore=end)["Clusters"]
    assert cluster_id not in {each["Id"] for each in after}
    assert cluster_id in {each["Id"] for each in around}
    assert len(emr.called) == 20  # all but list_instance_fleets, which only refused here


def test_instance_fleets(service: Service) -> None:
    emr = Checked(service.emr)
    fleets = [
        {
            "InstanceFleetType": role,
            "TargetOnDemandCapacity": capacity,
            "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge", "WeightedCapacity": weight}],
        }
        for role, capacity, weight in (("MASTER", 1, 1), ("CORE", 5, 2))
    ]
    request = {"Name": "fleets", "ReleaseLabel": "emr-7.14.0", "Instances": {"InstanceFleets": fleets}}
    cluster_id = emr.run_job_flow(**request)["JobFlowId"]
    cluster = wait_for_end(service, cluster_id)
    assert cluster["InstanceCollectionType"] == "INSTANCE_FLEET"
    assert cluster["Status"]["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"
    described = emr.list_instance_fleets(ClusterId=cluster_id)["InstanceFleets"]
    assert [fleet["InstanceTypeSpecifications"][0]["WeightedCapacity"] for fleet in described] == [1, 2]
    instances = emr.list_instances(ClusterId=cluster_id, InstanceFleetType="CORE")["Instances"]
    assert [instance["InstanceFleetId"] for instance in instances] == [described[1]["Id"]] * 3
    for operation in ("DescribeCluster", "ListInstanceFleets", "ListInstances"):  # boto3 hides what it does not know
        _, answer = send(service, f"ElasticMapReduce.{operation}", {"ClusterId": cluster_id})
        assert list(find_gaps(answer, SERVICE.operation_model(operation).output_shape, operation)) == []


INSTANCES = {"MasterInstanceType": "m5.xlarge", "InstanceCount": 1}
BASE = {"Name": "n", "ReleaseLabel": "emr-7.14.0", "Instances": INSTANCES}


@pytest.mark.parametrize(
    ("operation", "body", "code", "part"),
    [
        ("RunJobFlow", BASE | {"Colour": "green"}, "ValidationException", 'Unknown parameter in input: "Colour"'),
        ("RunJobFlow", BASE | {"Instances": INSTANCES | {"Colour": 1}}, "ValidationException", 'Instances: "Colour"'),
        ("RunJobFlow", {"Name": "n"}, "ValidationException", 'Missing required parameter in input: "Instances"'),
        ("RunJobFlow", BASE | {"Name": 5}, "ValidationException", "Invalid type for parameter Name"),
        ("RunJobFlow", {"Name": "n", "Instances": INSTANCES}, "ValidationException", "missing ReleaseLabel"),
        ("RunJobFlow", BASE | {"Instances": {}}, "ValidationException", "expected exactly one of InstanceGroups"),
        ("RunJobFlow", BASE | {"LogUri": "/tmp"}, "ValidationException", "LogUri /tmp: expected s3"),
        ("RunJobFlow", BASE | {"StepConcurrencyLevel": 257}, "ValidationException", "expected 1 to 256"),
        ("RunJobFlow", BASE | {"AutoTerminationPolicy": {"IdleTimeout": 604_801}}, "ValidationException", "604801"),
        ("RunJobFlow", BASE | {"Steps": [bash("a", "", "EXPLODE")]}, "ValidationException", "Steps[0].ActionOnFailure"),
        (
            "RunJobFlow",
            BASE | {"StepConcurrencyLevel": 2, "Steps": [bash("a", "", "CANCEL_AND_WAIT")]},
            "ValidationException",
            "is not valid where StepConcurrencyLevel",
        ),
        ("DescribeCluster", {"ClusterId": "j-NO"}, "InvalidRequestException", "Cluster id 'j-NO' is not valid."),
        ("ListSteps", {"ClusterId": "j-NO"}, "InvalidRequestException", "Cluster id 'j-NO' is not valid."),
        ("TerminateJobFlows", {"JobFlowIds": ["j-NO"]}, "InvalidRequestException", "Cluster id 'j-NO'"),
        ("ListClusters", {"Marker": "x"}, "InvalidRequestException", "Invalid marker"),
        ("ListClusters", [], "ValidationException", "Invalid type"),
        ("ListClusters", b"{", "SerializationException", "not JSON"),
        ("ListStudios", {}, "UnknownOperationException", "ListStudios"),
        ("Nonsense", {}, "UnknownOperationException", "ElasticMapReduce.Nonsense"),
    ],
)
def test_refusals(service: Service, operation: str, body: Any, code: str, part: str) -> None:
    status, answer = send(service, f"ElasticMapReduce.{operation}", body)
    assert (status, answer["__type"]) == (400, code)
    assert part in answer["message"]


def test_a_local_service_answers_to_local_names_on_one_address(service: Service) -> None:
    status, _ = send(service, "ElasticMapReduce.ListClusters", {}, Host="evil.example")
    assert status == 400
    with urllib.request.urlopen(service.url) as answer:
        assert json.load(answer)["emulator"] is True
    port = int(service.url.rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):  # all of 127.0.0.0/8 is this machine
        socket.create_connection(("127.0.0.2", port))
