"""Every row of the role table holds, by an engine that evaluates IAM policies."""

import pytest
from cfnlint.decode.cfn_yaml import load

from tests.infra import engine, policies, role_table
from tests.infra.iam_calls import Call, object_arn

ROWS = role_table.rows()


@pytest.fixture(scope="module")
def allowed() -> dict[str, bool]:
    return dict(zip(map(str, ROWS), engine.are_allowed([row.call for row in ROWS]), strict=True))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_row_holds(row: role_table.Row, allowed: dict[str, bool]) -> None:
    assert allowed[str(row)] == row.is_allowed, row.why


def test_the_table_covers_every_role_with_denials() -> None:
    denials = [row for row in ROWS if not row.is_allowed]
    assert len(ROWS) >= 40
    assert len(denials) >= 20
    assert {row.call.role for row in denials} == {row.call.role for row in ROWS} >= {"airflow", "serving", "deployer"}


def policy(effect: str, **statement: object) -> dict[str, object]:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Resource": "*", **statement}]}
    return {"name": effect, "policy": document}


def test_the_engine_evaluates_what_the_policies_use() -> None:
    read, written = Call("r", "s3:GetObject", object_arn("a/1")), Call("r", "s3:PutObject", object_arn("a/1"))
    calls = [read, written]
    everything = policy("Allow", Action="s3:*")
    assert engine.are_allowed(calls, {"r": [everything]}) == [True, True]
    assert engine.are_allowed(calls, {"r": [everything, policy("Deny", Action="s3:Put*")]}) == [True, False], "a deny wins"
    assert engine.are_allowed(calls, {"r": [policy("Allow", NotAction="s3:Get*")]}) == [False, True]
    assert engine.are_allowed(calls, {"r": [policy("Allow", Action="s3:*", Resource=object_arn("?/2"))]}) == [False, False]
    condition = {"StringEqualsIfExists": {"s3:prefix": "b"}, "Bool": {"aws:SecureTransport": "true"}}
    assert engine.are_allowed(calls, {"r": [policy("Allow", Action="s3:*", Condition=condition)]}) == [True, True]


def test_a_call_that_does_not_exist_is_a_mistake() -> None:
    everything = {"r": [policy("Allow", Action="*")]}
    with pytest.raises(ValueError, match="GetObjects"):
        engine.are_allowed([Call("r", "s3:GetObjects", object_arn("a"))], everything)
    with pytest.raises(ValueError, match="no condition key"):
        engine.are_allowed([Call("r", "s3:PutObject", object_arn("a"), {"s3:prefix": "a"})], everything)


def test_the_policy_of_the_key_is_that_of_the_storage_stack() -> None:
    resources = load(str(policies.INFRA / "storage.yaml"))["Resources"]
    if "Key" not in resources:
        pytest.skip("the storage stack has no key")
    template = policies.Template(load(str(policies.INFRA / "storage.yaml")), policies.PARAMETERS | policies.STORAGE)
    assert template.properties("Key")["KeyPolicy"] == policies.KEY_POLICY
