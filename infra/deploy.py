"""Creates or updates the stacks of a deployment, one after the other."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import boto3

from fruits_contract import layout
from fruits_contract.regions import EU_REGIONS
from infra import bucket, certificates, change_sets
from infra.progress import POLL_S, Say
from infra.stacks import FOLDER, Deployment, DeploymentError, Stack, stacks

FROM_USER = {"Email": "EMAIL=you@example.org"}
Confirm = Callable[[str], bool]


class Declined(RuntimeError):
    """The user declined; nothing that the question named was done."""


@dataclass(frozen=True, kw_only=True)
class Dialog:
    """The command's output and questions: `say` prints a line, `confirm` asks for a yes; `poll_s` is the polling interval."""

    say: Say
    confirm: Confirm
    poll_s: float = POLL_S


def check(deployment: Deployment) -> None:
    """Raise `DeploymentError` unless the region is in the EU and the name can be part of a bucket's name."""
    if deployment.region not in EU_REGIONS:
        raise DeploymentError(f"REGION is {deployment.region!r}; expected one in the EU (GDPR): {', '.join(EU_REGIONS)}")
    name = deployment.stack
    if not (layout.NAME.fullmatch(name) and name.replace("-", "").isalnum() and name[0].isalpha() and name.islower()):
        raise DeploymentError(
            f"STACK is {name!r}; expected lower-case letters, digits and '-', beginning with a letter, such as fruits"
        )
    if len(name) > 20:
        raise DeploymentError(f"STACK is {name!r}, {len(name)} characters long; expected at most 20")


def deploy_stacks(deployment: Deployment, dialog: Dialog, *, folder: Path = FOLDER) -> dict[str, str]:
    """Create or update the stacks and the certificates of clusters; return the outputs of all stacks by name.

    A second call changes nothing.

    Raises
    ------
    DeploymentError
        The deployment cannot be made, or a stack failed; stacks before it are complete and stay.
    Declined
        The user refuses a change set; it is deleted, and stacks before it are complete.
    """
    check(deployment)
    own = list(stacks(deployment, folder=folder))
    values = {**deployment.values, "Stack": deployment.stack}
    _check_names_of_values(own, values)
    _check_user_has_given(own, values)
    for stack in own:
        change_sets.settle(stack, say=dialog.say, poll_s=dialog.poll_s)
    values |= _bucket_parameters(deployment, own[0], dialog.say)
    outputs: dict[str, str] = {}
    for stack in own:
        _update(stack, deployment, values | outputs, dialog)
        outputs |= stack.outputs()
    s3 = boto3.client("s3", region_name=deployment.region)
    expires, are_new = certificates.ensure(s3, outputs["BucketName"], deployment.region)
    dialog.say(f"certificates of clusters: {'new, ' if are_new else ''}valid until {expires:%Y-%m-%d}")
    return outputs


def airflow_variable(deployment: Deployment, outputs: dict[str, str], release: str) -> str:
    """Return the Airflow Variable `fruits` of the deployment as JSON: what the stacks made of it have."""
    settings: dict[str, object] = {
        "bucket": outputs["BucketName"],
        "region": deployment.region,
        "release": release,
        "deployment": deployment.stack,
    }
    if subnets := outputs.get("SubnetIds"):
        settings["subnets"] = subnets.split(",")
    for name, output in {
        "service_role": "EmrServiceRoleName",
        "instance_profile": "EmrInstanceProfileName",
        "security_configuration": "SecurityConfiguration",
        "primary_security_group": "PrimarySecurityGroupId",
        "node_security_group": "NodeSecurityGroupId",
        "service_access_security_group": "ServiceAccessSecurityGroupId",
    }.items():
        if output in outputs:
            settings[name] = outputs[output]
    return json.dumps(settings, indent=1)


def _check_names_of_values(own: list[Stack], values: dict[str, str]) -> None:
    known = {parameter["ParameterKey"] for stack in own for parameter in stack.template_parameters()}
    if unknown := sorted(set(values) - known - {"Stack"}):
        raise DeploymentError(f"no template has the parameter {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _check_user_has_given(own: list[Stack], values: dict[str, str]) -> None:
    """Raise `DeploymentError` before anything is created if a later stack will lack what only the user knows."""
    for stack in own:
        required = {parameter["ParameterKey"] for parameter in stack.template_parameters()}
        missing = (required & set(FROM_USER)) - set(values) - stack.previous_parameters()
        for name in sorted(missing):
            raise DeploymentError(f"the stack {stack.name} needs {name}; nothing was changed. Give it: {FROM_USER[name]}")


def _bucket_parameters(deployment: Deployment, storage: Stack, say: Say) -> dict[str, str]:
    """Return the values of the bucket's parameters: its name, and the key of one that an earlier deployment has left."""
    current = storage.outputs().get("BucketName", "")
    wanted = deployment.values.get("BucketName", current) or default_bucket(deployment)
    if current and wanted != current:
        raise DeploymentError(
            f"the bucket of {deployment.stack} is {current} and cannot be renamed to {wanted}: leave BUCKET out, "
            "or choose another STACK"
        )
    s3 = boto3.client("s3", region_name=deployment.region)
    if current or not bucket.exists(s3, wanted):
        return {"BucketName": wanted}
    key = bucket.usable_key(s3, boto3.client("kms", region_name=deployment.region), wanted)
    say(
        f"the bucket {wanted} already exists; the change set below imports it into the stack, with "
        f"{f'its key {key}' if key else 'a new key'}"
    )
    return {"BucketName": wanted, "ExistingKeyArn": key}


def default_bucket(deployment: Deployment) -> str:
    """Return the name of the bucket where the user gives none: no other account can have taken it."""
    account = boto3.client("sts", region_name=deployment.region).get_caller_identity()["Account"]
    return f"{deployment.stack}-{account}-{deployment.region}"


def _update(stack: Stack, deployment: Deployment, values: dict[str, str], dialog: Dialog) -> None:
    change_set = change_sets.create(stack, deployment, values, poll_s=dialog.poll_s)
    if change_set is None:
        dialog.say(f"{stack.name}: no changes")
        return
    try:
        dialog.say(f"{stack.name}:\n{change_sets.table(change_set.changes())}")
        if not dialog.confirm(f"Make these changes to {stack.name}?"):
            raise Declined(f"Stopped at {stack.name}: it and the stacks after it are unchanged, those before it are up to date")
    except (Declined, KeyboardInterrupt):
        change_set.discard()
        raise
    change_set.execute(say=dialog.say, poll_s=dialog.poll_s)
