"""An EMR that is away or refuses requests, and clusters and steps that end in other ways than hoped for."""

import resource
import time
from collections.abc import Callable

import psutil
import pytest

from fruits_contract import layout
from tests.faults import fault_proxy
from tests.faults.matrix import FaultyStack, Row
from tests.faults.outcome import steps

pytestmark = [pytest.mark.slow, pytest.mark.separate]

Record = Callable[[Row], None]
AWAY_S = 60


def test_emr_away(faulty: FaultyStack, drop: str, record: Record) -> None:
    def away(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        with faulty.emr.failing(fault_proxy.away):
            time.sleep(AWAY_S)

    record(faulty.survive("EMR's API away for 60 s", drop, away, must_succeed=True))


@pytest.mark.parametrize("answer", [fault_proxy.throttled, fault_proxy.internal_error])
def test_emr_refuses(faulty: FaultyStack, drop: str, record: Record, answer: Callable) -> None:
    during = faulty.emr.failing(fault_proxy.one_in(3, answer))
    fault = f"EMR answers {answer.__name__} to one request in three"
    record(faulty.survive(fault.replace("_", " "), drop, lambda run: None, during=during, must_succeed=True))


def test_cluster_terminated_from_outside(faulty: FaultyStack, drop: str, record: Record) -> None:
    def terminate(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        faulty.stack.emr.terminate_job_flows(JobFlowIds=[faulty.cluster_of(dag_run_id)])

    record(faulty.survive("cluster terminated from outside, as by a loss of Spot capacity", drop, terminate))


def test_bootstrap_action_fails(faulty: FaultyStack, drop: str, record: Record) -> None:
    script = layout.bootstrap_script(faulty.stack.release)
    whole = faulty.stack.read(script)
    faulty.stack.s3.put_object(Bucket=faulty.stack.bucket, Key=script, Body=b"#!/bin/bash\nexit 3\n")

    def repair(dag_run_id: str) -> None:
        faulty.wait_for(dag_run_id, "featurize", "failed")
        faulty.stack.s3.put_object(Bucket=faulty.stack.bucket, Key=script, Body=whole)

    record(faulty.survive("bootstrap action fails", drop, repair))


def test_step_over_its_limit(faulty: FaultyStack, drop: str, record: Record) -> None:
    faulty.stack.deploy(stage_limit_s=3)

    def relent(dag_run_id: str) -> None:
        faulty.wait_for(dag_run_id, "featurize", "failed")
        faulty.stack.deploy()

    record(faulty.survive("step over its time limit", drop, relent))


def test_step_cancelled_by_hand(faulty: FaultyStack, drop: str, record: Record) -> None:
    def cancel(dag_run_id: str) -> None:
        faulty.wait_for_step(dag_run_id, "featurize")
        cluster = faulty.cluster_of(dag_run_id)
        running = [step["Id"] for step in faulty.stack.emr.list_steps(ClusterId=cluster)["Steps"]]
        faulty.stack.emr.cancel_steps(ClusterId=cluster, StepIds=running, StepCancellationOption="TERMINATE_PROCESS")

    record(faulty.survive("step cancelled by hand", drop, cancel))


def test_disk_full(faulty: FaultyStack, drop: str, record: Record) -> None:
    def fill(dag_run_id: str) -> None:
        """Let no process of the step write a file of more than a few bytes, as on a disk without room."""
        faulty.wait_for_step(dag_run_id, "featurize")
        for step in steps(faulty.stack):
            for process in [step, *step.children(recursive=True)]:
                psutil.Process(process.pid).rlimit(resource.RLIMIT_FSIZE, (16, 16))

    record(faulty.survive("disk of the node full", drop, fill))
