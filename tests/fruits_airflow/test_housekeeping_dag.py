"""Housekeeping runs every hour, and its limits are those of the runs that it looks after."""

from typing import Any

import pytest

from fruits_airflow.assets import FEATURES_PUBLISHED
from fruits_airflow.emr.orphaned_clusters import RUN_LIMIT
from fruits_contract.pipelines import PIPELINES
from release import contents
from tests.fixtures.dag_bag import DagBag


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    bag = DagBag(contents.ROOT / "dags")
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_it_runs_every_hour_and_one_at_a_time(dags: dict[str, Any]) -> None:
    dag = dags["fruits_housekeeping"]
    assert (dag.schedule, dag.catchup, dag.max_active_runs) == ("0 * * * *", False, 1)
    assert dag.is_paused_upon_creation in (None, True)
    assert dag.tags == {"fruits", "housekeeping"}
    assert {task.owner for task in dag.tasks} == {"fruits"}


def test_its_tasks_do_not_wait_for_each_other(dags: dict[str, Any]) -> None:
    assert {task.task_id: task.downstream_task_ids for task in dags["fruits_housekeeping"].tasks} == {
        "terminate_orphaned_clusters": set(),
        "maintain_tables": set(),
        "enforce_retention": set(),
        "complete_contributed_drop": set(),
        "erase_contributions": set(),
    }


def test_an_erasure_from_the_features_starts_a_training(dags: dict[str, Any]) -> None:
    assert dags["fruits_housekeeping"].get_task("erase_contributions").outlets == [FEATURES_PUBLISHED]


def test_a_cluster_may_be_as_old_as_its_run(dags: dict[str, Any]) -> None:
    assert {dags[pipeline.dag_id].dagrun_timeout for pipeline in PIPELINES} == {RUN_LIMIT}


@pytest.mark.parametrize("heading", ["What", "When", "Params", "Reads", "Writes", "If it fails"])
def test_the_doc_has_the_heading(dags: dict[str, Any], heading: str) -> None:
    assert f"**{heading}**: " in dags["fruits_housekeeping"].doc_md
