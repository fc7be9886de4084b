"""An erasure waits for runs that were planned, or are being planned, and for no other."""

import json
from typing import Any

import pytest

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.runs_under_way import is_run_under_way
from fruits_contract import layout

pytestmark = pytest.mark.slow

FEATURES, CLASSIFIER = "fruits_features", "fruits_classifier"


class Airflow:
    """Answers what Airflow's database would: which DAG runs are alive, and which tasks are running."""

    def __init__(self, *, runs: set[tuple[str, str]] = frozenset(), tasks: set[tuple[str, str]] = frozenset()) -> None:  # type: ignore[assignment]
        self.runs, self.tasks = runs, tasks

    def get_dr_count(self, dag_id: str, logical_dates: Any = None, run_ids: Any = None, states: Any = None) -> int:
        assert states == ["queued", "running"]
        return sum(dag == dag_id and (run_ids is None or run in run_ids) for dag, run in self.runs)

    def get_ti_count(self, dag_id: str, *, task_ids: Any = None, states: Any = None) -> int:
        assert states == ["running"]
        return sum(dag == dag_id and task in task_ids for dag, task in self.tasks)


def planned(bucket: Bucket, run: str, **params: str) -> None:
    bucket.write(layout.run_params(run), json.dumps({"dag_run_id": f"manual__{run}", **params}).encode())


@pytest.mark.parametrize(
    ("runs", "tasks", "expected"),
    [
        (set(), set(), False),
        ({(FEATURES, "manual__f1")}, set(), True),
        ({(CLASSIFIER, "manual__c1")}, set(), True),
        ({(CLASSIFIER, "manual__f1"), (FEATURES, "manual__c1")}, set(), False),
        ({(FEATURES, "waits_for_its_drop")}, set(), False),
        ({(FEATURES, "manual__f9")}, {(FEATURES, "plan_batch")}, True),
        ({(CLASSIFIER, "manual__c9")}, {(CLASSIFIER, "plan_training")}, True),
        ({(FEATURES, "manual__f9")}, {(FEATURES, "wait_for_drop")}, False),
    ],
)
def test_it_waits_for_planned_runs_only(
    bucket: Bucket, runs: set[tuple[str, str]], tasks: set[tuple[str, str]], expected: bool
) -> None:
    planned(bucket, "f1", drop="first")
    planned(bucket, "c1")
    bucket.write("runs/old/report/index.html", b"")
    assert is_run_under_way(bucket, Airflow(runs=runs, tasks=tasks)) == expected


def test_without_a_live_run_no_object_is_read(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bucket, "read", lambda *_: pytest.fail("read"))
    planned(bucket, "f1", drop="first")
    assert not is_run_under_way(bucket, Airflow())
