"""The roles as the template makes them: who assumes them, and with which principal for Airflow."""

from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load

from tests.infra import policies
from tests.infra.iam_calls import ACCOUNT

OWN_AIRFLOW = f"arn:aws:iam::{ACCOUNT}:role/airflow-on-kubernetes"


def resources(airflow_principal: str) -> dict[str, Any]:
    template = load(str(policies.INFRA / "access.yaml"))
    return policies.Template(template, policies.PARAMETERS | {"AirflowPrincipal": airflow_principal}).resources()


def assumed_by(role: dict[str, Any]) -> list[Any]:
    return [statement["Principal"] for statement in role["AssumeRolePolicyDocument"]["Statement"]]


def test_on_mwaa_airflows_role_is_the_environments() -> None:
    made = resources("")
    assert assumed_by(made["AirflowRole"]) == [{"Service": ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]}]
    assert made["AirflowRole"]["ManagedPolicyArns"] == [f"arn:aws:iam::{ACCOUNT}:policy/fruits-mwaa"]
    assert made["MwaaPolicy"]["ManagedPolicyName"] == "fruits-mwaa"


def test_elsewhere_one_principal_assumes_it_and_mwaas_policy_is_not_made() -> None:
    made = resources(OWN_AIRFLOW)
    assert assumed_by(made["AirflowRole"]) == [{"AWS": OWN_AIRFLOW}]
    assert made["AirflowRole"]["ManagedPolicyArns"] == []
    assert "MwaaPolicy" not in made


def test_services_assume_the_other_roles_for_this_account() -> None:
    made = resources("")
    assert assumed_by(made["EmrServiceRole"]) == [{"Service": "elasticmapreduce.amazonaws.com"}]
    assert assumed_by(made["EmrNodeRole"]) == [{"Service": "ec2.amazonaws.com"}]
    assert assumed_by(made["ServingRole"]) == [{"Service": "ecs-tasks.amazonaws.com"}, {"Service": "lambda.amazonaws.com"}]
    # EC2 and Lambda assume roles of their own account only, and send no source.
    for name in ("AirflowRole", "EmrServiceRole", "ServingRole"):
        first = made[name]["AssumeRolePolicyDocument"]["Statement"][0]
        assert first["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT


def test_the_instance_profile_has_the_name_of_its_role() -> None:
    made = resources("")
    assert made["EmrInstanceProfile"]["InstanceProfileName"] == made["EmrNodeRole"]["RoleName"] == "fruits-emr-node"


def test_policies_are_as_short_as_iam_requires() -> None:
    for role, documents in policies.of_all_roles().items():
        sizes = {item["name"]: policies.size(item["policy"]) for item in documents}
        managed = {name: sizes.pop(name) for name in ("mwaa", policies.DEPLOYER) if name in sizes}
        assert all(size <= 6144 for size in managed.values()), managed
        assert sum(sizes.values()) <= 10_240, (role, sizes)


def test_a_function_that_is_not_known_is_refused() -> None:
    template = policies.Template({"Resources": {"A": {"Properties": {"Name": {"Fn::Join": ["", []]}}}}}, {})
    with pytest.raises(ValueError, match="Fn::Join"):
        template.resources()
