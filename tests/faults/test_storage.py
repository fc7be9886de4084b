"""An S3 that is away, slow, or refuses requests."""

import time
from collections.abc import Callable

import pytest

from tests.faults import fault_proxy
from tests.faults.matrix import FaultyStack, Row

pytestmark = [pytest.mark.slow, pytest.mark.separate]

Record = Callable[[Row], None]
AWAY_S = 30


def test_s3_away_in_featurize(faulty: FaultyStack, drop: str, record: Record) -> None:
    def away(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        with faulty.s3.failing(fault_proxy.away):
            time.sleep(AWAY_S)

    record(faulty.survive("S3 away for 30 s in featurize", drop, away))


def test_s3_away_in_publish(faulty: FaultyStack, drop: str, record: Record) -> None:
    def away(dag_run_id: str) -> None:
        faulty.wait_for(dag_run_id, "publish", "running")
        with faulty.s3.failing(fault_proxy.away):
            time.sleep(AWAY_S)

    record(faulty.survive("S3 away for 30 s in publish", drop, away, must_succeed=True))


def test_s3_slows_down(faulty: FaultyStack, drop: str, record: Record) -> None:
    during = faulty.s3.failing(fault_proxy.one_in(5, fault_proxy.slow_down))
    record(faulty.survive("S3 answers 503 SlowDown to one request in five", drop, nothing_more, during=during, must_succeed=True))


def test_s3_slow(faulty: FaultyStack, drop: str, record: Record) -> None:
    during = faulty.s3.failing(fault_proxy.slow(0.3))
    record(faulty.survive("S3 takes 0.3 s longer for every request", drop, nothing_more, during=during, must_succeed=True))


def test_publish_killed_between_tables_and_pointer(faulty: FaultyStack, drop: str, record: Record) -> None:
    """The request that would write the pointer is where the process ends; the retry of the task completes the publication."""
    import psutil

    def kill() -> None:
        scheduler = psutil.Process(faulty.pid("scheduler"))
        tasks = [process for process in scheduler.children(recursive=True) if not process.children()]
        max(tasks, key=lambda process: process.create_time()).kill()

    during = faulty.s3.failing(
        fault_proxy.when(lambda request: request.method == "PUT" and request.path.endswith("models/current.json"), kill)
    )
    record(
        faulty.survive(
            "publish killed between the tables and the pointer",
            drop,
            nothing_more,
            during=during,
            params={"mode": "fit"},
            must_succeed=True,
        )
    )


def nothing_more(dag_run_id: str) -> None:
    """The fault is there during the whole run."""
