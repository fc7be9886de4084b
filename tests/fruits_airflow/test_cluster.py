"""The cluster's request is one that EMR accepts, bounded in size, and ends by itself."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_airflow.cluster import MANAGED_POLICIES_TAG, PHOTOS_PER_NODE, core_nodes, job_flow
from fruits_airflow.settings import Settings
from fruits_contract.params import RunParams
from tests.fruits_airflow.emr_request import problems


@pytest.fixture
def request_(settings: Settings, params: RunParams) -> dict[str, Any]:
    return job_flow(settings, params, photos=1000)


def tags(request: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request["Tags"]}


def test_emr_accepts_the_request(request_: dict[str, Any]) -> None:
    assert problems("RunJobFlow", request_) == []


def test_emr_accepts_it_without_subnets_too(settings: Settings, params: RunParams) -> None:
    request = job_flow(replace(settings, subnets=()), params, photos=0)
    assert problems("RunJobFlow", request) == []
    assert "Ec2SubnetIds" not in request["Instances"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Colour": "red"}, 'Unknown parameter in input: "Colour"'),
        ({"StepConcurrencyLevel": "1"}, "Invalid type for parameter StepConcurrencyLevel"),
        ({"ScaleDownBehavior": "SLOWLY"}, r"RunJobFlow.ScaleDownBehavior is 'SLOWLY'; expected one of"),
    ],
)
def test_a_wrong_request_would_be_noticed(request_: dict[str, Any], change: dict[str, Any], problem: str) -> None:
    assert any(problem in line for line in problems("RunJobFlow", request_ | change))


@given(st.integers(0, 10**9), st.integers(1, 100))
def test_nodes_are_enough_for_the_photos_and_never_more_than_allowed(photos: int, at_most: int) -> None:
    nodes = core_nodes(photos, at_most=at_most)
    assert 1 <= nodes <= at_most
    assert nodes == at_most or nodes * PHOTOS_PER_NODE >= photos
    assert nodes == 1 or (nodes - 1) * PHOTOS_PER_NODE < photos


@pytest.mark.parametrize(
    ("photos", "nodes"), [(0, 1), (1, 1), (PHOTOS_PER_NODE, 1), (PHOTOS_PER_NODE + 1, 2), (100 * PHOTOS_PER_NODE, 10)]
)
def test_the_core_fleet_grows_with_the_batch(settings: Settings, params: RunParams, photos: int, nodes: int) -> None:
    fleets = {
        fleet["InstanceFleetType"]: fleet for fleet in job_flow(settings, params, photos=photos)["Instances"]["InstanceFleets"]
    }
    assert set(fleets) == {"MASTER", "CORE"}
    core, primary = fleets["CORE"], fleets["MASTER"]
    assert (core["TargetSpotCapacity"], core["TargetOnDemandCapacity"]) == (nodes, 0)
    assert (primary["TargetSpotCapacity"], primary["TargetOnDemandCapacity"]) == (0, 1)
    assert core["LaunchSpecifications"]["SpotSpecification"]["TimeoutAction"] == "SWITCH_TO_ON_DEMAND"


def test_tags_say_what_it_is_for_and_let_emrs_policy_manage_it(request_: dict[str, Any]) -> None:
    assert tags(request_) == {"project": "fruits", "run": "r1", MANAGED_POLICIES_TAG: "true"}
    assert MANAGED_POLICIES_TAG == "for-use-with-amazon-emr-managed-policies"


def test_tags_of_the_deployment_are_added(settings: Settings, params: RunParams) -> None:
    request = job_flow(replace(settings, tags={"cost-centre": "42"}), params, photos=1)
    assert tags(request)["cost-centre"] == "42"
    assert len(request["Tags"]) == 4


def test_emr_ends_a_forgotten_cluster(settings: Settings, params: RunParams) -> None:
    request = job_flow(replace(settings, idle_timeout_s=600), params, photos=1)
    assert request["AutoTerminationPolicy"] == {"IdleTimeout": 600}
    assert request["Instances"]["TerminationProtected"] is False
    assert request["Instances"]["KeepJobFlowAliveWhenNoSteps"] is True


def test_logs_and_code_are_in_the_bucket_and_of_the_runs_release(request_: dict[str, Any]) -> None:
    assert request_["LogUri"] == "s3://photos/logs/"
    (bootstrap,) = request_["BootstrapActions"]
    action = bootstrap["ScriptBootstrapAction"]
    assert action["Path"] == "s3://photos/code/v2/bootstrap/install_python.sh"
    assert action["Args"] == ["s3://photos/code/v2/wheels/", "/opt/fruits"]


def test_workers_run_the_python_that_the_bootstrap_action_makes(request_: dict[str, Any]) -> None:
    properties = {item["Classification"]: item["Properties"] for item in request_["Configurations"]}
    folder = request_["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"][1]
    assert properties["spark-defaults"]["spark.pyspark.python"] == f"{folder}/bin/python"
    assert properties["spark-defaults"]["spark.executorEnv.AWS_REGION"] == "eu-north-1"


def test_the_request_holds_no_secret(settings: Settings, params: RunParams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    text = json.dumps(job_flow(settings, params, photos=1))
    assert "AKIAEXAMPLE" not in text
    assert "wJalrXUtnFEMI" not in text
    assert not re.search(r"secret|password|token|credential|access.?key", text, re.IGNORECASE)
