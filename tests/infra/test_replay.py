"""Every recorded call is allowed to its role, and what no call needs is listed with its reason."""

import fnmatch
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra import deploy_calls, engine, never_called, policies, recorded
from tests.infra.iam_calls import BUCKET, Call

# The policy of EMR's service role is compared with AWS's own (test_emr_service.py); nobody can record what EMR calls.
NOT_REPLAYED = ("emr-service",)
AWS_OWN_POLICIES = ("mwaa",)  # as the User Guide of Amazon MWAA has it; nobody can record what MWAA calls


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return [*recorded.load(), *deploy_calls.calls()]


def test_every_call_is_allowed(calls: list[Call]) -> None:
    allowed = engine.are_allowed(calls)
    assert [call for call, is_allowed in zip(calls, allowed, strict=True) if not is_allowed] == []


def test_the_record_has_every_role_and_both_services(calls: list[Call]) -> None:
    assert {call.role for call in calls} == {"airflow", "emr-node", "serving", "deployer"}
    actions = {call.action for call in calls if call.role == "airflow"}
    assert {"elasticmapreduce:RunJobFlow", "s3:DeleteObjectVersion", "iam:PassRole", "kms:Decrypt"} <= actions


def test_what_is_never_called_is_listed_with_its_reason(calls: list[Call]) -> None:
    spare = {
        (role, *permission) for role, permission in permissions() if not any(is_used(call, role, *permission) for call in calls)
    }
    listed = {(item.role, item.action, item.resource) for item in never_called.items()}
    assert spare - listed == set(), "neither called nor listed: remove it from infra/access.yaml, or say who needs it"
    assert listed - spare == set(), "called, or not there: remove it from never_called.yaml"


def permissions() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield role, and action and resource of everything that a policy allows; resources of the bucket as keys."""
    for role, documents in policies.of_all_roles().items():
        if role in NOT_REPLAYED:
            continue
        for document in documents:
            if document["name"] in AWS_OWN_POLICIES:
                continue
            allowed = [each for each in document["policy"]["Statement"] if each["Effect"] == "Allow"]
            for statement in allowed:
                for action in as_list(statement["Action"]):
                    yield from ((role, (action, short(resource))) for resource in as_list(statement["Resource"]))


def is_used(call: Call, role: str, action: str, resource: str) -> bool:
    return (
        call.role == role
        and fnmatch.fnmatchcase(call.action, action)
        and (resource == "*" or fnmatch.fnmatchcase(short(call.resource), resource))
    )


def short(resource: str) -> str:
    return resource.removeprefix(f"arn:aws:s3:::{BUCKET}/")


def as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value
