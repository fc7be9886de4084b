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


def live_clusters(emr: Any) -> Iterator[LiveCluster]:
    """Yield the live clusters of all deployments, in no order.

    `emr` is a boto3 client. ListClusters returns no tags, so each cluster with a name of ours is described. It is eventually
    consistent: a cluster may be missing for some seconds after RunJobFlow, or be listed while it is terminating already.
    """
    for page in emr.get_paginator("list_clusters").paginate(ClusterStates=STATES):
        for summary in page["Clusters"]:
            if not summary["Name"].startswith(tags.NAME_PREFIX):
                continue
            cluster = emr.describe_cluster(ClusterId=summary["Id"])["Cluster"]
            if cluster["Status"]["State"] not in STATES:
                continue
            yield LiveCluster(
                id=cluster["Id"],
                created_at=cluster["Status"]["Timeline"]["CreationDateTime"],
                tags=_as_dict(cluster.get("Tags", [])),
            )


def find_cluster(emr: Any, job_flow: dict[str, Any]) -> str | None:
    """Return the id of the newest live cluster that the same RunJobFlow request has started before; None if there is none."""
    identity = {key: value for key, value in _as_dict(job_flow["Tags"]).items() if key in IDENTITY}
    own = [cluster for cluster in live_clusters(emr) if identity.items() <= cluster.tags.items()]
    return max(own, key=lambda cluster: cluster.created_at).id if own else None


def _as_dict(tag_list: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tag_list}
