"""The cluster's request is one that EMR accepts, bounded in size, and ends by itself."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from fruits_airflow.emr.cluster import MANAGED_POLICIES_TAG, job_flow
from fruits_airflow.emr.prices import INSTANCES, PRIMARIES
from fruits_airflow.settings import Settings
from fruits_contract.features_pipeline import FeaturesRunParams
from tests.fruits_airflow.emr.emr_request import problems


@pytest.fixture
def request_(settings: Settings, params: FeaturesRunParams) -> dict[str, Any]:
    return job_flow(settings, params, nodes=3)


def tags(request: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request["Tags"]}


def test_emr_accepts_the_request(request_: dict[str, Any]) -> None:
    assert problems("RunJobFlow", request_) == []


def test_emr_accepts_it_without_subnets_too(settings: Settings, params: FeaturesRunParams) -> None:
    request = job_flow(replace(settings, subnets=()), params, nodes=1)
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


def fleets_of(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {fleet["InstanceFleetType"]: fleet for fleet in request["Instances"]["InstanceFleets"]}


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_task_nodes_are_spot_and_all_others_on_demand(settings: Settings, params: FeaturesRunParams, nodes: int) -> None:
    request = job_flow(settings, params, nodes=nodes)
    assert problems("RunJobFlow", request) == []
    targets = {kind: (fleet["TargetOnDemandCapacity"], fleet["TargetSpotCapacity"]) for kind, fleet in fleets_of(request).items()}
    assert targets == {"MASTER": (1, 0), "CORE": (1, 0), "TASK": (0, nodes - 1)}
    assert fleets_of(request)["TASK"]["LaunchSpecifications"]["SpotSpecification"]["TimeoutAction"] == "SWITCH_TO_ON_DEMAND"
    limits = request["ManagedScalingPolicy"]["ComputeLimits"]
    assert (limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]) == (1, nodes)
    assert limits["MaximumCoreCapacityUnits"] == limits["MaximumOnDemandCapacityUnits"] == 1


def test_the_smallest_cluster_has_one_core_node_and_nothing_to_scale(settings: Settings, params: FeaturesRunParams) -> None:
    request = job_flow(settings, params, nodes=1)
    assert set(fleets_of(request)) == {"MASTER", "CORE"}
    assert "ManagedScalingPolicy" not in request


def test_instances_are_those_with_a_price(request_: dict[str, Any]) -> None:
    types = {kind: [item["InstanceType"] for item in fleet["InstanceTypeConfigs"]] for kind, fleet in fleets_of(request_).items()}
    tasks = [item.name for item in INSTANCES]
    assert types == {"MASTER": [item.name for item in PRIMARIES], "CORE": tasks, "TASK": tasks}
    assert all("OnDemandSpecification" in fleet["LaunchSpecifications"] for fleet in fleets_of(request_).values()), (
        "EMR accepts more than five types only with an allocation strategy"
    )


def test_encryption_and_security_groups_are_those_of_the_settings(settings: Settings, params: FeaturesRunParams) -> None:
    groups = {"primary_security_group": "sg-1", "node_security_group": "sg-2", "service_access_security_group": "sg-3"}
    request = job_flow(replace(settings, security_configuration="fruits", **groups), params, nodes=1)
    assert problems("RunJobFlow", request) == []
    assert request["SecurityConfiguration"] == "fruits"
    instances = request["Instances"]
    assert instances["EmrManagedMasterSecurityGroup"] == "sg-1"
    assert instances["EmrManagedSlaveSecurityGroup"] == "sg-2"
    assert instances["ServiceAccessSecurityGroup"] == "sg-3"
    plain = job_flow(settings, params, nodes=1)
    assert "SecurityConfiguration" not in plain and "EmrManagedMasterSecurityGroup" not in plain["Instances"]


def test_tags_say_what_it_is_for_and_let_emrs_policy_manage_it(request_: dict[str, Any]) -> None:
    assert tags(request_) == {"project": "fruits", "deployment": "photos", "run": "r1", MANAGED_POLICIES_TAG: "true"}
    assert MANAGED_POLICIES_TAG == "for-use-with-amazon-emr-managed-policies"


def test_tags_of_the_deployment_are_added(settings: Settings, params: FeaturesRunParams) -> None:
    request = job_flow(replace(settings, tags={"cost-centre": "42"}), params, nodes=1)
    assert tags(request)["cost-centre"] == "42"
    assert len(request["Tags"]) == 5


def test_tags_of_the_deployment_cannot_hide_whose_cluster_it_is(settings: Settings, params: FeaturesRunParams) -> None:
    request = job_flow(replace(settings, tags={"deployment": "another", "project": "another"}), params, nodes=1)
    assert (tags(request)["deployment"], tags(request)["project"]) == ("photos", "fruits")


def test_emr_ends_a_forgotten_cluster(settings: Settings, params: FeaturesRunParams) -> None:
    request = job_flow(replace(settings, idle_timeout_s=600), params, nodes=1)
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


def test_the_request_holds_no_secret(settings: Settings, params: FeaturesRunParams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    text = json.dumps(job_flow(settings, params, nodes=1))
    assert "AKIAEXAMPLE" not in text
    assert "wJalrXUtnFEMI" not in text
    assert not re.search(r"secret|password|token|credential|access.?key", text, re.IGNORECASE)
