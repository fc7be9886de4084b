"""Change sets: what CloudFormation would do to a stack, shown before it does it."""

import time
from dataclasses import dataclass
from typing import Any

from infra.progress import IN_PROGRESS, POLL_S, Say, last_end, newest_event, remedy, wait
from infra.stacks import Deployment, DeploymentError, Stack

PREFIX = "make-deploy-"
NO_CHANGES = ("didn't contain changes", "no updates are to be performed", "does not contain changes")
# A stack in one of these was never created completely, or failed to be deleted: it can only be deleted.
DEAD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS")
EMPTY = "REVIEW_IN_PROGRESS"
HEADER = ("action", "resource", "type", "replacement")


@dataclass(frozen=True)
class ChangeSet:
    """One change set of a stack."""

    stack: Stack
    name: str

    @property
    def identity(self) -> dict[str, str]:
        """Return the names by which CloudFormation knows it."""
        return {"StackName": self.stack.name, "ChangeSetName": self.name}

    def describe(self, **page: str) -> dict[str, Any]:
        """Return its description by CloudFormation, with one page of its changes."""
        found: dict[str, Any] = self.stack.cloudformation.describe_change_set(**self.identity, **page)
        return found

    def changes(self) -> list[dict[str, Any]]:
        """Return all its changes."""
        found = self.describe()
        changes = list(found["Changes"])
        while token := found.get("NextToken"):
            found = self.describe(NextToken=token)
            changes += found["Changes"]
        return [change["ResourceChange"] for change in changes]

    def execute(self, *, say: Say, poll_s: float = POLL_S) -> None:
        """Execute it and wait for its end; raise `DeploymentError` as `wait` does."""
        since = newest_event(self.stack)
        self.stack.cloudformation.execute_change_set(**self.identity)
        wait(self.stack, say=say, since=since, poll_s=poll_s)

    def discard(self) -> None:
        """Delete it, and the empty stack that CloudFormation made for it."""
        if self.stack.status() == EMPTY:
            self.stack.cloudformation.delete_stack(StackName=self.stack.name)
        else:
            self.stack.cloudformation.delete_change_set(**self.identity)


def await_earlier(stack: Stack, *, say: Say, poll_s: float = POLL_S) -> str:
    """Wait for the end of what an earlier command has started, and return the stack's status; '' if there is no stack."""
    status = stack.status()
    if not status.endswith(IN_PROGRESS) or status == EMPTY:
        return status
    say(f"{stack.name}: {status}, of an earlier command; waiting for its end")
    try:
        wait(stack, say=say, since=last_end(stack), poll_s=poll_s)
    except DeploymentError as error:
        say(str(error))
    return stack.status()


def delete(stack: Stack, *, say: Say, poll_s: float = POLL_S) -> None:
    """Delete a stack and wait for its end; raise `DeploymentError` as `wait` does."""
    since = newest_event(stack)
    stack.cloudformation.delete_stack(StackName=stack.name)
    wait(stack, say=say, since=since, poll_s=poll_s)


def settle(stack: Stack, *, say: Say, poll_s: float = POLL_S) -> None:
    """Bring a stack that an earlier command has left behind into a state from which a change set can start."""
    status = await_earlier(stack, say=say, poll_s=poll_s)
    if status == "UPDATE_ROLLBACK_FAILED":
        raise DeploymentError(f"the stack {stack.name} is {status}. {remedy(stack, status)}")
    if status in DEAD:
        reason = "an earlier change set was not executed" if status == EMPTY else f"it is {status} and cannot be updated"
        say(f"{stack.name}: deleting it first, because {reason}")
        delete(stack, say=say, poll_s=poll_s)
        return
    if status:
        for summary in stack.cloudformation.list_change_sets(StackName=stack.name)["Summaries"]:
            if summary["ChangeSetName"].startswith(PREFIX) and summary["ExecutionStatus"] == "AVAILABLE":
                say(f"{stack.name}: deleting a change set that an earlier command has left")
                ChangeSet(stack, summary["ChangeSetName"]).discard()


def create(stack: Stack, deployment: Deployment, values: dict[str, str], *, poll_s: float = POLL_S) -> ChangeSet | None:
    """Create a change set and return it; None, and no change set, if the stack is as the template says.

    Raises
    ------
    DeploymentError
        CloudFormation refuses the template or a parameter; nothing was changed.
    """
    # A name is free again only when the change set is deleted, and an executed one stays.
    change_set = ChangeSet(stack, f"{PREFIX}{time.time_ns()}")
    stack.cloudformation.create_change_set(
        **change_set.identity,
        ChangeSetType="UPDATE" if stack.status() else "CREATE",
        TemplateBody=stack.template.read_text(),
        Parameters=stack.parameters(values),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Tags=deployment.tags,
        # a bucket that `make undeploy` has kept becomes part of the new stack
        ImportExistingResources=True,
    )
    try:
        while (found := change_set.describe())["Status"] in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            time.sleep(poll_s)
    except KeyboardInterrupt:
        change_set.discard()
        raise
    if found["Status"] != "FAILED":
        return change_set
    reason = found.get("StatusReason", "CloudFormation gives no reason")
    change_set.discard()
    if any(text in reason.lower() for text in NO_CHANGES):
        return None
    raise DeploymentError(
        f"CloudFormation refuses the change set of {stack.name}: {reason}\n"
        f"Correct {stack.template.name} or the value that it names; nothing was changed."
    )


def table(changes: list[dict[str, Any]]) -> str:
    """Return the changes as a text table, a line each."""
    rows = [HEADER]
    for change in changes:
        row = (change["Action"], change["LogicalResourceId"], change["ResourceType"], change.get("Replacement", "-"))
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"  {line.rstrip()}" for line in lines)
