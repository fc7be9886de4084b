"""Deletes the stacks of a deployment in the reverse order, and its bucket and key where the user says so."""

from pathlib import Path
from typing import Any

import boto3

from infra import bucket, change_sets
from infra.deploy import Declined, Dialog, check, default_bucket
from infra.stacks import FOLDER, Deployment, DeploymentError, Stack, stacks

LIVE = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"]
NAME_PREFIX = "fruits "  # of a cluster's name; ListClusters returns no tags


def undeploy(deployment: Deployment, dialog: Dialog, *, with_data: bool = False, folder: Path = FOLDER) -> None:
    """Delete the stacks; with `with_data` also the bucket, all versions of its objects, and its key.

    Raises
    ------
    DeploymentError
        A cluster of the deployment is alive, somebody has the deployer's policy, or a stack could not be deleted.
    Declined
        The user declined; nothing was deleted.
    """
    check(deployment)
    own = [stack for stack in stacks(deployment, folder=folder) if stack.status()]
    storage = next((stack.outputs() for stack in own if stack.name.endswith("-storage")), {})
    name = storage.get("BucketName") or deployment.values.get("BucketName") or default_bucket(deployment)
    s3 = boto3.client("s3", region_name=deployment.region)
    kms = boto3.client("kms", region_name=deployment.region)
    has_bucket = bucket.exists(s3, name)
    key = storage.get("KeyArn") or (bucket.usable_key(s3, kms, name) if has_bucket else "")
    if not own and not (with_data and has_bucket):
        dialog.say(f"there are no stacks of {deployment.stack} in {deployment.region}: nothing to do")
        _say_kept(dialog, name if has_bucket else "", key)
        return
    refuse_while_clusters_live(deployment, name)
    refuse_while_policy_is_attached(own)
    if with_data and has_bucket and not storage:
        bucket.check_owner(s3, name, deployment)
    to_delete = [stack.name for stack in reversed(own)]
    if with_data and has_bucket:
        to_delete.append(f"the bucket {name} with ALL photos, tables, models and logs, and its key")
    dialog.say("to be deleted:\n  " + "\n  ".join(to_delete))
    if not dialog.confirm(f"Delete these of {deployment.stack} in {deployment.region}?"):
        raise Declined("nothing was deleted")
    for stack in reversed(own):
        if change_sets.await_earlier(stack, say=dialog.say, poll_s=dialog.poll_s):
            dialog.say(f"{stack.name}: deleting")
            change_sets.delete(stack, say=dialog.say, poll_s=dialog.poll_s)
    if not with_data:
        _say_kept(dialog, name if bucket.exists(s3, name) else "", key)
        return
    if has_bucket:
        dialog.say(f"{name}: deleted with {bucket.delete(s3, name)} versions of objects")
    if key:
        bucket.delete_key(kms, key)
        dialog.say(f"{key}: KMS deletes it in {bucket.KEY_WAIT_DAYS} days; until then `aws kms cancel-key-deletion` keeps it")


def _say_kept(dialog: Dialog, name: str, key: str) -> None:
    if name:
        dialog.say(f"kept: the bucket {name}{f' and its key {key}' if key else ''}; DATA=delete deletes both")


def refuse_while_clusters_live(deployment: Deployment, name: str) -> None:
    """Raise `DeploymentError` if a cluster of the deployment, or of its bucket `name`, has not ended."""
    emr: Any = boto3.client("emr", region_name=deployment.region)
    live = [
        cluster["Id"]
        for page in emr.get_paginator("list_clusters").paginate(ClusterStates=LIVE)
        for cluster in page["Clusters"]
        if cluster["Name"].startswith(NAME_PREFIX) and _deployment_of(emr, cluster["Id"]) in (deployment.stack, name)
    ]
    if live:
        raise DeploymentError(
            f"clusters of {deployment.stack} are alive: {', '.join(live)}. Wait for the end of their runs, or mark the runs as "
            f"failed in Airflow, which terminates them; then run the same command again. Nothing was deleted."
        )


def refuse_while_policy_is_attached(own: list[Stack]) -> None:
    """Raise `DeploymentError` if somebody has the deployer's policy: IAM does not delete a policy that is attached."""
    for arn in filter(None, (stack.outputs().get("DeployerPolicyArn") for stack in own)):
        found = boto3.client("iam").list_entities_for_policy(PolicyArn=arn)
        names = [
            *(user["UserName"] for user in found["PolicyUsers"]),
            *(group["GroupName"] for group in found["PolicyGroups"]),
            *(role["RoleName"] for role in found["PolicyRoles"]),
        ]
        if names:
            raise DeploymentError(
                f"the policy {arn} is attached to {', '.join(names)}, and IAM does not delete an attached policy. Detach it, and "
                "run the same command as an administrator. Nothing was deleted."
            )


def _deployment_of(emr: Any, cluster: str) -> str:
    tags = emr.describe_cluster(ClusterId=cluster)["Cluster"].get("Tags", [])
    return next((tag["Value"] for tag in tags if tag["Key"] == "deployment"), "")
