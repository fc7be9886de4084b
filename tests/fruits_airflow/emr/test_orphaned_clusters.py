"""Housekeeping ends what its own deployment's dead runs have left, and nothing else, on a real emulator."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from fruits_airflow.bucket import Bucket
from fruits_airflow.emr import orphaned_clusters, tags
from fruits_airflow.emr.live_clusters import listed_clusters
from fruits_airflow.emr.orphaned_clusters import RUN_LIMIT, YOUNG, check_for_orphans, terminate_orphaned_clusters
from fruits_airflow.run_cost import TASK, cost_of_month
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.manifest import Manifest
from tests.local.emr.emr_client import Service

pytestmark = pytest.mark.slow

RUN = "scheduled__2026-11-22T03:00:00+00:00"
LIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
LATER = timedelta(hours=1)


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A deployment per test, because all tests use one emulator."""
    return replace(settings, deployment=request.node.name.replace("[", ".").strip("]"))


def start(emulator: Service, settings: Settings, *, name: str = "fruits r1") -> str:
    values = tags.of_deployment(settings) | tags.of_dag_run("fruits_features", RUN) | {tags.RUN: "r1"}
    return emulator.run(Name=name, Tags=[{"Key": key, "Value": values[key]} for key in values])


def end(emulator: Service, settings: Settings, *, is_alive: bool, after: timedelta) -> list[str]:
    def answer(dag_id: str, dag_run_id: str) -> bool:
        assert (dag_id, dag_run_id) == ("fruits_features", RUN)
        return is_alive

    orphans, errors = terminate_orphaned_clusters(emulator.emr, settings, is_alive=answer, now=datetime.now(UTC) + after)
    assert errors == []
    return [str(orphan) for orphan in orphans]


def is_live(emulator: Service, cluster: str) -> bool:
    return emulator.describe(cluster)["Status"]["State"] in LIVE


def test_the_cluster_of_a_run_that_is_over_is_ended_and_named(emulator: Service, settings: Settings) -> None:
    cluster = start(emulator, settings)
    (line,) = end(emulator, settings, is_alive=False, after=LATER)
    assert line.startswith(f"cluster {cluster}, started at ")
    assert line.endswith(f"UTC: run '{RUN}' of 'fruits_features' is over or deleted")
    assert not is_live(emulator, cluster)
    assert end(emulator, settings, is_alive=False, after=LATER) == []


@pytest.mark.parametrize(
    ("is_alive", "after"), [(True, LATER), (False, YOUNG / 2), (True, RUN_LIMIT - LATER)], ids=["alive", "young", "long"]
)
def test_a_cluster_that_may_be_in_use_is_left_alone(
    emulator: Service, settings: Settings, is_alive: bool, after: timedelta
) -> None:
    cluster = start(emulator, settings)
    assert end(emulator, settings, is_alive=is_alive, after=after) == []
    assert is_live(emulator, cluster)


def test_a_cluster_older_than_a_run_may_be_is_ended_although_its_run_is_alive(emulator: Service, settings: Settings) -> None:
    cluster = start(emulator, settings)
    (line,) = end(emulator, settings, is_alive=True, after=RUN_LIMIT + LATER)
    assert "older than 3 days" in line
    assert not is_live(emulator, cluster)


def test_clusters_of_others_are_left_alone(emulator: Service, settings: Settings) -> None:
    others = [
        start(emulator, replace(settings, deployment="another")),
        start(emulator, settings, name="somebody's"),
        emulator.run(Name="fruits of another team"),
    ]
    assert end(emulator, settings, is_alive=False, after=LATER) == []
    assert all(is_live(emulator, cluster) for cluster in others)


@pytest.mark.parametrize(("count", "is_ended"), [(0, True), (1, False)])
def test_the_task_is_red_where_a_cluster_was_left(
    emulator: Service, settings: Settings, connection: Bucket, count: int, is_ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphaned_clusters, "YOUNG", timedelta(0))
    cluster = start(emulator, settings)
    ti = Mock(get_dr_count=Mock(return_value=count))
    context: Any = {"ti": ti}
    if is_ended:
        with pytest.raises(AirflowFailException, match=f"cluster {cluster}"):
            check_for_orphans(emulator.emr, settings, context)
    else:
        check_for_orphans(emulator.emr, settings, context)
    assert is_live(emulator, cluster) is not is_ended
    ti.get_dr_count.assert_called_once_with(dag_id="fruits_features", run_ids=[RUN], states=["queued", "running"])


def test_a_cluster_that_cannot_be_terminated_keeps_no_other_from_being_ended(emulator: Service, settings: Settings) -> None:
    refused, other = start(emulator, settings), start(emulator, settings)
    emr = Mock(wraps=emulator.emr)

    def terminate(*, JobFlowIds: list[str]) -> None:
        if JobFlowIds == [refused]:
            raise RuntimeError("protected")
        emulator.emr.terminate_job_flows(JobFlowIds=JobFlowIds)

    emr.terminate_job_flows.side_effect = terminate
    later = datetime.now(UTC) + LATER
    (orphan,), errors = terminate_orphaned_clusters(emr, settings, is_alive=lambda dag, run: False, now=later)
    assert orphan.cluster.id == other
    assert errors == [f"{refused}: protected"]
    assert is_live(emulator, refused)
    context: Any = {"ti": Mock(get_dr_count=Mock(side_effect=RuntimeError("away")))}
    with pytest.raises(RuntimeError, match=f"Clusters could not be checked: {refused}: away"):
        check_for_orphans(emulator.emr, settings, context)


def test_a_cluster_that_cannot_be_described_keeps_no_other_from_being_ended(emulator: Service, settings: Settings) -> None:
    clusters = {start(emulator, settings), start(emulator, settings)}
    listed = [cluster for cluster in listed_clusters(emulator.emr) if cluster in clusters]
    emr = Mock(wraps=emulator.emr)

    def describe(*, ClusterId: str) -> Any:
        if ClusterId == listed[0]:
            raise RuntimeError("throttled")
        return emulator.emr.describe_cluster(ClusterId=ClusterId)

    emr.describe_cluster.side_effect = describe
    later = datetime.now(UTC) + LATER
    (orphan,), errors = terminate_orphaned_clusters(emr, settings, is_alive=lambda dag, run: False, now=later)
    assert orphan.cluster.id == listed[1]
    assert errors == [f"{listed[0]}: throttled"]
    assert [is_live(emulator, cluster) for cluster in listed] == [True, False]


def test_what_a_terminated_cluster_has_cost_is_recorded(
    emulator: Service, settings: Settings, connection: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(orphaned_clusters, "YOUNG", timedelta(0))
    cluster = start(emulator, settings)
    context: Any = {"ti": Mock(get_dr_count=Mock(return_value=0))}
    with pytest.raises(AirflowFailException, match=cluster):
        check_for_orphans(emulator.emr, settings, context)
    month = cost_of_month(connection, f"{datetime.now(UTC):%Y-%m}")
    assert month.runs == 1 and month.usd > 0
    manifest = Manifest.from_json(connection.read(layout.manifest("r1", TASK)))
    assert {instance["cluster"] for instance in manifest.figures["instances"]} == {cluster}
    assert manifest.figures["usd"] == month.usd

    monkeypatch.setattr(connection, "write", Mock(side_effect=OSError("S3 is down")))
    other = start(emulator, settings)
    with pytest.raises(AirflowFailException, match=other):
        check_for_orphans(emulator.emr, settings, context)
    assert f"The cost of cluster {other} could not be recorded" in caplog.text and "S3 is down" in caplog.text
