"""The stacks of a deployment in their order, and the values of their parameters."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

FOLDER = Path(__file__).parent
# A budget belongs to the account. CloudFormation does not offer its type in every region of the EU, but in this one.
BUDGET_REGION = "eu-central-1"


class DeploymentError(RuntimeError):
    """The deployment cannot continue; the message says what was found, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment, as the user names it.

    Parameters
    ----------
    stack
        Its name: the prefix of its stacks, and the value of the tag `deployment`.
    values
        Values of parameters by name, for all templates that have them.
    """

    stack: str
    region: str
    values: dict[str, str] = field(default_factory=dict)

    @property
    def tags(self) -> list[dict[str, str]]:
        """Return the tags of all its stacks, which CloudFormation gives to their resources."""
        return [{"Key": "project", "Value": "fruits"}, {"Key": "deployment", "Value": self.stack}]


@dataclass(frozen=True)
class Stack:
    """One stack: its name, its template and a boto3 client of CloudFormation for its region."""

    name: str
    template: Path
    cloudformation: Any

    def describe(self) -> dict[str, Any] | None:
        """Return the stack's description by CloudFormation; None if there is none."""
        try:
            found: dict[str, Any] = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def status(self) -> str:
        """Return the stack's status; '' if there is no stack."""
        found = self.describe()
        return found["StackStatus"] if found else ""

    def outputs(self) -> dict[str, str]:
        """Return the stack's outputs by name; none if there is no stack."""
        found = self.describe() or {}
        return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}

    def parameters(self, values: dict[str, str]) -> list[dict[str, Any]]:
        """Return the template's parameters as a change set takes them.

        A parameter that is not in `values` keeps the value that the stack has, or takes the template's default.

        Raises
        ------
        DeploymentError
            A parameter has none of the three.
        """
        previous = self.previous_parameters()
        parameters: list[dict[str, Any]] = []
        for parameter in self.template_parameters():
            name = parameter["ParameterKey"]
            if name in values:
                parameters.append({"ParameterKey": name, "ParameterValue": values[name]})
            elif name in previous:
                parameters.append({"ParameterKey": name, "UsePreviousValue": True})
            elif "DefaultValue" not in parameter:
                raise DeploymentError(
                    f"the stack {self.name} needs a value of {name} ({parameter.get('Description', 'no description')}). "
                    f"Give it: OVERRIDES={name}=value"
                )
        return parameters

    def previous_parameters(self) -> set[str]:
        """Return the names of the parameters that have a value in the stack."""
        existing = self.describe() or {}
        if existing.get("StackStatus") == "REVIEW_IN_PROGRESS":
            return set()
        return {item["ParameterKey"] for item in existing.get("Parameters", [])}

    def template_parameters(self) -> list[dict[str, Any]]:
        """Return the parameters that the template declares."""
        summary = self.cloudformation.get_template_summary(TemplateBody=self.template.read_text())
        found: list[dict[str, Any]] = summary["Parameters"]
        return found


ORDER = ("storage", "network", "access", "emr", "budget")


def stacks(deployment: Deployment, *, folder: Path = FOLDER) -> Iterator[Stack]:
    """Yield the stacks in the order in which they are created; those without a template are left out."""
    for name in ORDER:
        template = folder / f"{name}.yaml"
        if template.exists():
            # The budgets of all regions are in one, so their stacks name the region of the deployment.
            suffix = f"budget-{deployment.region}" if name == "budget" else name
            region = BUDGET_REGION if name == "budget" else deployment.region
            yield Stack(f"{deployment.stack}-{suffix}", template, boto3.client("cloudformation", region_name=region))
