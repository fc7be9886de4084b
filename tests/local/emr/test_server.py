"""The protocol: requests that are refused, and who may send any."""

import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.local.emr.emr_client import Service, bash

pytestmark = pytest.mark.slow

INSTANCES = {"MasterInstanceType": "m5.xlarge", "InstanceCount": 1}
TWO_MASTERS = {"InstanceGroups": [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 2}]}
CLUSTER = {"Name": "n", "ReleaseLabel": "emr-7.14.0", "Instances": INSTANCES}
BAD_ACTION = {"StepConcurrencyLevel": 2, "Steps": [bash("a", "", "CANCEL_AND_WAIT")]}


def send(service: Service, operation: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Send a request without boto3's own checks."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(service.url, data, {"X-Amz-Target": f"ElasticMapReduce.{operation}", **headers})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    text = caught.value.read()
    return caught.value.code, json.loads(text) if text.startswith(b"{") else {}


def scaling(*, least: int = 1, most: int = 4, core: int = 1) -> dict[str, Any]:
    limits = {"MinimumCapacityUnits": least, "MaximumCapacityUnits": most, "MaximumCoreCapacityUnits": core}
    return {"ComputeLimits": {"UnitType": "InstanceFleetUnits", **limits}}


@pytest.mark.parametrize(
    ("operation", "body", "code", "message"),
    [
        ("RunJobFlow", CLUSTER | {"Colour": "green"}, "ValidationException", 'Unknown parameter in input: "Colour"'),
        ("RunJobFlow", CLUSTER | {"Instances": INSTANCES | {"Colour": 1}}, "ValidationException", 'Instances: "Colour"'),
        ("RunJobFlow", {"Name": "n"}, "ValidationException", 'Missing required parameter in input: "Instances"'),
        ("RunJobFlow", CLUSTER | {"Name": 5}, "ValidationException", "Invalid type for parameter Name"),
        ("RunJobFlow", {"Name": "n", "Instances": INSTANCES}, "ValidationException", "missing ReleaseLabel"),
        ("RunJobFlow", CLUSTER | {"AmiVersion": "2.4"}, "ValidationException", "Only one AMI version and release label"),
        ("RunJobFlow", CLUSTER | {"Instances": {}}, "ValidationException", "expected exactly one of InstanceGroups"),
        ("RunJobFlow", CLUSTER | {"Instances": {"InstanceGroups": []}}, "ValidationException", "expected exactly one of"),
        ("RunJobFlow", CLUSTER | {"Instances": TWO_MASTERS}, "ValidationException", "exactly 3 instances for HA clusters"),
        ("RunJobFlow", CLUSTER | {"LogUri": "/tmp"}, "ValidationException", "LogUri is /tmp; expected s3"),
        ("RunJobFlow", CLUSTER | {"StepConcurrencyLevel": 257}, "ValidationException", "expected 1 to 256"),
        ("RunJobFlow", CLUSTER | {"AutoTerminationPolicy": {"IdleTimeout": 604_801}}, "ValidationException", "604801"),
        ("RunJobFlow", CLUSTER | {"ManagedScalingPolicy": scaling(least=5, most=4)}, "ValidationException", "1 to Maximum"),
        (
            "RunJobFlow",
            CLUSTER | {"ManagedScalingPolicy": scaling(core=5)},
            "ValidationException",
            "MaximumCoreCapacityUnits is 5",
        ),
        ("RunJobFlow", CLUSTER | {"Steps": [bash("a", "", "EXPLODE")]}, "ValidationException", "Steps[0].ActionOnFailure"),
        ("RunJobFlow", CLUSTER | BAD_ACTION, "ValidationException", "is not valid where StepConcurrencyLevel"),
        ("AddJobFlowSteps", {"JobFlowId": "j-NO", "Steps": []}, "ValidationException", "Specified job flow ID does not exist."),
        ("TerminateJobFlows", {"JobFlowIds": ["j-NO"]}, "ValidationException", "Specified job flow ID does not exist."),
        ("ListClusters", [], "ValidationException", "Invalid type"),
        ("ListClusters", b"{", "SerializationException", "not JSON"),
        ("ListStudios", {}, "UnknownOperationException", "ListStudios"),
        ("Nonsense", {}, "UnknownOperationException", "ElasticMapReduce.Nonsense"),
    ],
)
def test_refused_requests(service: Service, operation: str, body: Any, code: str, message: str) -> None:
    status, answer = send(service, operation, body)
    assert (status, answer["__type"]) == (400, code)
    assert message in answer["message"]


@pytest.mark.parametrize(
    ("call", "request_", "code", "message"),
    [
        ("describe_cluster", {"ClusterId": "j-NO"}, "NoSuchCluster", "Cluster id 'j-NO' is not valid."),
        ("list_steps", {"ClusterId": "j-NO"}, "NoSuchCluster", "Cluster id 'j-NO' is not valid."),
        ("list_clusters", {"Marker": "x"}, "InvalidMarker", "Invalid marker"),
    ],
)
def test_invalid_request_has_an_error_code(
    service: Service, call: str, request_: dict[str, str], code: str, message: str
) -> None:
    with pytest.raises(service.emr.exceptions.InvalidRequestException) as caught:
        getattr(service.emr, call)(**request_)
    assert caught.value.response["ErrorCode"] == code
    assert caught.value.response["Message"] == message
    assert caught.value.response["Error"] == {"Code": "InvalidRequestException", "Message": message}


def test_a_local_service_answers_to_local_names_on_one_address(service: Service) -> None:
    status, _ = send(service, "ListClusters", {}, Host="evil.example")
    assert status == 400
    with urllib.request.urlopen(service.url) as answer:
        assert json.load(answer)["emulator"] is True
    port = int(service.url.rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):  # all of 127.0.0.0/8 is this machine
        socket.create_connection(("127.0.0.2", port))
