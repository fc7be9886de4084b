"""What a user reads of stacks in states that LocalStack does not get into: CloudFormation's answers are made up."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra import progress
from infra.change_sets import await_earlier, settle, table
from infra.progress import wait
from infra.stacks import DeploymentError, Stack


class CloudFormation:
    """Answers with one status after the other, the last one for good, and with all events at once."""

    meta = SimpleNamespace(region_name="eu-north-1")

    def __init__(self, statuses: list[str], events: list[tuple[str, str, str]]) -> None:
        self._statuses, self._events = statuses, events
        self.deleted = False

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return {"Stacks": [{"StackStatus": status, "StackId": "id"}]}

    def get_paginator(self, operation: str) -> "CloudFormation":
        return self

    def paginate(self, StackName: str) -> Iterator[dict[str, Any]]:
        events = [
            {
                "EventId": str(number),
                "LogicalResourceId": name,
                "ResourceType": "AWS::EC2::VPCEndpoint",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            for number, (name, status, reason) in enumerate(self._events)
        ]
        yield {"StackEvents": events[::-1]}

    def list_change_sets(self, StackName: str) -> dict[str, Any]:
        return {"Summaries": []}

    def delete_stack(self, StackName: str) -> None:
        self.deleted = True


def _stack(statuses: list[str], *events: tuple[str, str, str]) -> Stack:
    return Stack("fruits-network", Path("network.yaml"), CloudFormation(statuses, list(events)))


def test_an_operation_of_an_earlier_command_is_followed_from_its_own_beginning() -> None:
    said: list[str] = []
    stack = _stack(
        ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"],
        ("Endpoint", "CREATE_FAILED", "the limit of endpoints was reached in March"),
        ("fruits-network", "UPDATE_ROLLBACK_COMPLETE", ""),
        ("fruits-network", "UPDATE_IN_PROGRESS", ""),
        ("Endpoint", "UPDATE_COMPLETE", ""),
    )
    await_earlier(stack, say=said.append, poll_s=0)
    assert [line for line in said if "Endpoint" in line] == [said[-1]] and "UPDATE_COMPLETE" in said[-1]


def test_a_failure_names_the_cause_and_not_what_it_took_along() -> None:
    stack = _stack(
        ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"],
        ("Endpoint", "CREATE_FAILED", "the limit of endpoints is reached"),
        ("Other", "CREATE_FAILED", "Resource creation cancelled"),
    )
    said: list[str] = []
    with pytest.raises(DeploymentError) as failed:
        wait(stack, say=said.append, poll_s=0)
    assert str(failed.value) == (
        "the stack fruits-network ended as UPDATE_ROLLBACK_COMPLETE:\n"
        "  Endpoint (AWS::EC2::VPCEndpoint): the limit of endpoints is reached\n"
        "The stack is as it was before. Remove the cause, then run the same command again."
    )
    assert said[0].endswith("CREATE_FAILED    Endpoint (AWS::EC2::VPCEndpoint)")


def test_what_takes_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENT_S", -1)
    said: list[str] = []
    stack = _stack(["CREATE_IN_PROGRESS"] * 3 + ["CREATE_COMPLETE"], ("Endpoint", "CREATE_IN_PROGRESS", ""))
    wait(stack, say=said.append, poll_s=0)
    assert said[0].endswith("in progress: Endpoint")


def test_a_status_of_the_operation_before_is_not_the_end() -> None:
    stack = _stack(["CREATE_COMPLETE", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"])
    stack.cloudformation._events = []
    waiting = progress._Progress(stack, lambda text: None, "")
    assert not waiting.has_started()
    stack.cloudformation._events = [("fruits-network", "UPDATE_IN_PROGRESS", "")]
    waiting.follow()
    assert waiting.has_started()


def test_a_stack_that_cannot_be_rolled_back_is_not_touched() -> None:
    stack = _stack(["UPDATE_ROLLBACK_FAILED"])
    with pytest.raises(DeploymentError, match="continue-update-rollback --stack-name fruits-network --region eu-north-1"):
        settle(stack, say=lambda text: None, poll_s=0)
    assert not stack.cloudformation.deleted


def test_what_an_earlier_command_has_begun_is_waited_for() -> None:
    said: list[str] = []
    stack = _stack(["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"], ("Endpoint", "UPDATE_COMPLETE", ""))
    settle(stack, say=said.append, poll_s=0)
    assert said[0] == "fruits-network: UPDATE_IN_PROGRESS, of an earlier command; waiting for its end"
    assert not stack.cloudformation.deleted


def test_the_table_shows_what_is_replaced() -> None:
    changes = [
        {"Action": "Modify", "LogicalResourceId": "Vpc", "ResourceType": "AWS::EC2::VPC", "Replacement": "True"},
        {"Action": "Add", "LogicalResourceId": "SubnetA", "ResourceType": "AWS::EC2::Subnet"},
    ]
    assert table(changes).splitlines() == [
        "  action  resource  type              replacement",
        "  Modify  Vpc       AWS::EC2::VPC     True",
        "  Add     SubnetA   AWS::EC2::Subnet  -",
    ]
