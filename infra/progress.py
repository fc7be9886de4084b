"""Waits for a stack, says what happens to its resources, and explains a failure by the stack's events."""

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.stacks import DeploymentError, Stack

Say = Callable[[str], None]
POLL_S = 2.0
SILENT_S = 15
START_LIMIT_S = 10  # within which CloudFormation reports the first event of the requested operation
IN_PROGRESS = "_IN_PROGRESS"
CAUSED_BY_OTHERS = ("cancelled", "canceled")
SUCCESSES = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE", "IMPORT_COMPLETE", "")


def newest_event(stack: Stack) -> str:
    """Return the id of the stack's newest event; '' if it has none."""
    if not stack.status():
        return ""
    events = stack.cloudformation.describe_stack_events(StackName=stack.name)["StackEvents"]
    return events[0]["EventId"] if events else ""


def last_end(stack: Stack) -> str:
    """Return the id of the event that ended the operation before the current one; '' if there was none."""
    for page in stack.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack.name):
        for event in page["StackEvents"]:
            if event["LogicalResourceId"] == stack.name and not event["ResourceStatus"].endswith(IN_PROGRESS):
                return str(event["EventId"])
    return ""


def wait(stack: Stack, *, say: Say, since: str = "", poll_s: float = POLL_S) -> None:
    """Wait until CloudFormation is done with the stack.

    Reports each resource once when it is done, by the events after `since`, and every 15 s those still in progress.

    Raises
    ------
    DeploymentError
        The stack ended in another state than the one that was wanted; the message names the resources and the reasons.
    """
    progress = _Progress(stack, say, since)
    while True:
        status = stack.status()
        progress.follow()
        # until the first event, the status may be that of the operation before
        if not status or (not status.endswith(IN_PROGRESS) and progress.has_started()):
            break
        time.sleep(poll_s)
    if status not in SUCCESSES:
        raise DeploymentError(_explain(stack, status, progress.failures))


class _Progress:
    """What has happened to a stack's resources since an event."""

    def __init__(self, stack: Stack, say: Say, since: str) -> None:
        self._stack, self._say, self._since = stack, say, since
        # A deleted stack keeps its events below its id, and no longer below its name.
        self._identity = (stack.describe() or {}).get("StackId", stack.name)
        self._started = self._spoke = time.monotonic()
        self._events = 0
        self._in_progress: set[str] = set()
        self.failures: list[str] = []

    def has_started(self) -> bool:
        """Return whether there was an event, or ought to have been one."""
        return self._events > 0 or time.monotonic() - self._started > START_LIMIT_S

    def follow(self) -> None:
        """Say what has happened since the last call."""
        for event in _events_after(self._stack, self._identity, self._since):
            self._since = event["EventId"]
            self._events += 1
            if event["LogicalResourceId"] != self._stack.name:
                self._note(event)
        if self._in_progress and time.monotonic() - self._spoke > SILENT_S:
            self._print(f"in progress: {', '.join(sorted(self._in_progress))}")

    def _note(self, event: dict[str, Any]) -> None:
        name, status = event["LogicalResourceId"], event["ResourceStatus"]
        if status.endswith(IN_PROGRESS):
            self._in_progress.add(name)
            return
        self._in_progress.discard(name)
        self._print(f"{status:<16} {name} ({event['ResourceType']})")
        if status.endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "CloudFormation gives no reason")
            self.failures.append(f"{name} ({event['ResourceType']}): {reason}")

    def _print(self, text: str) -> None:
        self._spoke = time.monotonic()
        self._say(f"  {self._spoke - self._started:4.0f} s  {text}")


def _events_after(stack: Stack, identity: str, since: str) -> list[dict[str, Any]]:
    newer: list[dict[str, Any]] = []
    pages = stack.cloudformation.get_paginator("describe_stack_events").paginate(StackName=identity)
    try:
        for event in (event for page in pages for event in page["StackEvents"]):
            if event["EventId"] == since:
                break
            newer.append(event)
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
    return newer[::-1]


def _explain(stack: Stack, status: str, failures: list[str]) -> str:
    causes = [text for text in failures if not any(word in text.lower() for word in CAUSED_BY_OTHERS)]
    reason = (stack.describe() or {}).get("StackStatusReason", "CloudFormation gives no reason")
    lines = "".join(f"\n  {text}" for text in causes or failures or [reason])
    return f"the stack {stack.name} ended as {status}:{lines}\n{remedy(stack, status)}"


def remedy(stack: Stack, status: str) -> str:
    """Return what the user can do about a stack that ended in `status`."""
    if status == "UPDATE_ROLLBACK_FAILED":
        return (
            "Remove the cause, then: aws cloudformation continue-update-rollback "
            f"--stack-name {stack.name} --region {stack.cloudformation.meta.region_name}"
        )
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return "The stack is as it was before. Remove the cause, then run the same command again."
    if status == "DELETE_FAILED":
        return "Remove what holds the resource, then run make undeploy again: it goes on where it stopped."
    return "Remove the cause, then run the same command again: it deletes what is left of this stack first, and says so."
