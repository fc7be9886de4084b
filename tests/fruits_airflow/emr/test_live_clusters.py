"""Of the clusters that EMR lists, in whatever order, the newest one that is really live is the run's."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

from fruits_airflow.emr import tags
from fruits_airflow.emr.live_clusters import find_cluster

TAGS = [{"Key": key, "Value": key} for key in (tags.PROJECT, tags.DEPLOYMENT, tags.DAG_ID, tags.DAG_RUN_ID)]


def emr_with(**clusters: tuple[int, str]) -> Any:
    """An EMR that lists clusters as running and describes them by their hour of creation and state."""
    listed = [{"Id": name, "Name": f"{tags.NAME_PREFIX}r1"} for name in clusters]

    def describe(*, ClusterId: str) -> dict[str, Any]:
        hour, state = clusters[ClusterId]
        created = datetime(2026, 11, 22, hour, tzinfo=UTC)
        return {"Cluster": {"Id": ClusterId, "Tags": TAGS, "Status": {"State": state, "Timeline": {"CreationDateTime": created}}}}

    emr = Mock(describe_cluster=describe)
    emr.get_paginator.return_value.paginate.return_value = [{"Clusters": listed[:1]}, {"Clusters": listed[1:]}]
    return emr


def test_the_newest_is_found_in_any_order() -> None:
    for names in (("old", "new"), ("new", "old")):
        hours = {"old": (3, "WAITING"), "new": (4, "RUNNING")}
        assert find_cluster(emr_with(**{name: hours[name] for name in names}), {"Tags": TAGS}) == "new"


def test_one_that_is_terminating_already_is_not_found() -> None:
    assert find_cluster(emr_with(old=(3, "RUNNING"), new=(4, "TERMINATING")), {"Tags": TAGS}) == "old"
    assert find_cluster(emr_with(old=(3, "TERMINATING")), {"Tags": TAGS}) is None
