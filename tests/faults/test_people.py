"""People who clear, fail and trigger while a run is under way."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.embedded_stack import DAG
from tests.faults.matrix import FaultyStack, Row

pytestmark = [pytest.mark.slow, pytest.mark.separate]

Record = Callable[[Row], None]


def clear(faulty: FaultyStack, dag_run_id: str, task: str, **options: Any) -> None:
    """Clear a task as the UI does it."""
    body = {"dry_run": False, "dag_run_id": dag_run_id, "task_ids": [task], "only_failed": False, **options}
    faulty.stack.api.request("POST", f"/dags/{DAG}/clearTaskInstances", body)


@pytest.mark.parametrize("task", ["featurize", "validate"])
def test_stage_cleared_while_deferred(faulty: FaultyStack, drop: str, record: Record, task: str) -> None:
    runs: list[str] = []

    def clear_it(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, task)
        clear(faulty, dag_run_id, task, include_downstream=True)
        runs.append(dag_run_id)

    row = faulty.survive(f"{task} cleared while deferred", drop, clear_it, must_succeed=True)
    assert faulty.cluster_of(runs[0]), "one cluster and no other"
    record(row)


def test_publish_cleared_while_running(faulty: FaultyStack, drop: str, record: Record) -> None:
    def clear_it(dag_run_id: str) -> None:
        faulty.wait_for(dag_run_id, "publish", "running")
        clear(faulty, dag_run_id, "publish")

    record(faulty.survive("publish cleared while running", drop, clear_it, must_succeed=True))


@pytest.mark.parametrize("state", ["failed", "success"])
def test_run_marked_while_deferred(faulty: FaultyStack, drop: str, record: Record, state: str) -> None:
    def mark(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        faulty.stack.api.request("PATCH", f"/dags/{DAG}/dagRuns/{dag_run_id}", {"state": state})

    record(faulty.survive(f"run marked as {state} while a stage is deferred", drop, mark))


def test_task_marked_as_failed(faulty: FaultyStack, drop: str, record: Record) -> None:
    def mark(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        path = f"/dags/{DAG}/dagRuns/{dag_run_id}/taskInstances/featurize"
        faulty.stack.api.request("PATCH", path, {"new_state": "failed"})

    record(faulty.survive("featurize marked as failed while deferred", drop, mark))


def test_same_trigger_delivered_twice(faulty: FaultyStack, drop: str, record: Record) -> None:
    def trigger_again(dag_run_id: str) -> None:
        body = {"dag_run_id": dag_run_id, "logical_date": None, "conf": {"drop": drop}}
        assert faulty.stack.api.request("POST", f"/dags/{DAG}/dagRuns", body, none_on=409) is None

    record(faulty.survive("the same trigger delivered twice", drop, trigger_again, must_succeed=True))
