"""Finds the clusters of this project that have not ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fruits_airflow.emr import tags

STATES = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]
# A request that starts a cluster carries these, and another one of the same run carries the same.
IDENTITY = {tags.PROJECT, tags.DEPLOYMENT, tags.DAG_ID, tags.DAG_RUN_ID}


@dataclass(frozen=True)
class LiveCluster:
    """A cluster that costs money and runs steps."""

    id: str
    created_at: datetime
    tags: dict[str, str]


def listed_clusters(emr: Any) -> Iterator[str]:
    """Yield the ids of the clusters with a name of this project that EMR lists as live, of all deployments, in no order.

    `emr` is a boto3 client. ListClusters is eventually consistent: a cluster may be missing for some seconds after RunJobFlow, or
    be listed while it is terminating already.
    """
    for page in emr.get_paginator("list_clusters").paginate(ClusterStates=STATES):
        for summary in page["Clusters"]:
            if summary["Name"].startswith(tags.NAME_PREFIX):
                yield summary["Id"]


def live_cluster(emr: Any, cluster_id: str) -> LiveCluster | None:
    """Return a listed cluster with its tags, which ListClusters does not return; None if it is not live any more."""
    cluster = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]
    if cluster["Status"]["State"] not in STATES:
        return None
    return LiveCluster(
        id=cluster["Id"],
        created_at=cluster["Status"]["Timeline"]["CreationDateTime"],
        tags=_as_dict(cluster.get("Tags", [])),
    )


def find_cluster(emr: Any, job_flow: dict[str, Any]) -> str | None:
    """Return the id of the newest live cluster that the same RunJobFlow request has started before; None if there is none."""
    identity = {key: value for key, value in _as_dict(job_flow["Tags"]).items() if key in IDENTITY}
    described = [live_cluster(emr, cluster_id) for cluster_id in listed_clusters(emr)]
    own = [cluster for cluster in described if cluster and identity.items() <= cluster.tags.items()]
    return max(own, key=lambda cluster: cluster.created_at).id if own else None


def _as_dict(tag_list: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tag_list}
