"""Programs that are killed during a run, one by one."""

import contextlib
import signal
from collections.abc import Callable

import psutil
import pytest

from local.waiting import wait_until
from tests.faults.matrix import FaultyStack, Row
from tests.faults.outcome import command_line, steps

pytestmark = [pytest.mark.slow, pytest.mark.separate]

Record = Callable[[Row], None]


def test_python_worker_killed(faulty: FaultyStack, drop: str, record: Record) -> None:
    def kill(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        found: list[psutil.Process] = []

        def has_workers() -> bool:
            with contextlib.suppress(psutil.Error):  # one of them has just ended
                found[:] = [
                    worker
                    for step in steps(faulty.stack)
                    for daemon in step.children(recursive=True)
                    if "pyspark.daemon" in command_line(daemon)
                    for worker in daemon.children()
                ]
            return bool(found)

        assert wait_until(has_workers, timeout_s=60, every_s=0.05)
        found[0].kill()

    record(faulty.survive("Python worker killed in featurize", drop, kill, must_succeed=True))


@pytest.mark.parametrize("stage", ["featurize", "transform_pca"])
def test_spark_submit_killed(faulty: FaultyStack, drop: str, record: Record, stage: str) -> None:
    def kill(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, stage)
        for step in steps(faulty.stack):
            step.kill()

    record(faulty.survive(f"spark-submit killed in {stage}", drop, kill))


@pytest.mark.parametrize("program", ["scheduler", "triggerer", "api-server", "dag-processor", "s3"])
def test_service_killed(faulty: FaultyStack, drop: str, record: Record, program: str) -> None:
    def kill(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        psutil.Process(faulty.pid(program)).kill()

    record(faulty.survive(f"{program} killed in featurize, and restarted", drop, kill, must_succeed=True))


def test_emr_service_killed(faulty: FaultyStack, drop: str, record: Record) -> None:
    """Its clusters end with it, as if the account had lost them."""

    def kill(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        psutil.Process(faulty.pid("emr")).kill()

    record(faulty.survive("the EMR emulator killed, and its clusters with it", drop, kill))


def test_task_process_killed_in_publish(faulty: FaultyStack, drop: str, record: Record) -> None:
    def kill(dag_run_id: str) -> None:
        faulty.wait_for(dag_run_id, "publish", "running")
        scheduler = psutil.Process(faulty.pid("scheduler"))
        tasks = [process for process in scheduler.children(recursive=True) if not process.children()]
        max(tasks, key=lambda process: process.create_time()).send_signal(signal.SIGKILL)

    record(faulty.survive("process of publish killed", drop, kill, must_succeed=True))
