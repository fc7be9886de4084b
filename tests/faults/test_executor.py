"""An executor of a real YARN that is lost in the middle of a stage."""

import json
import time
from collections.abc import Callable

import psutil
import pytest

from fruits_airflow.emr.steps import step
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE
from local.stack.supervision import Supervisor
from local.waiting import wait_until
from tests.faults.matrix import Row
from tests.faults.outcome import Outcome
from tests.local.stack.yarn_stack import EXECUTOR, YarnStack, command_line, yarn_stack

__all__ = ["yarn_stack"]

pytestmark = [pytest.mark.slow, pytest.mark.separate]


def test_executor_killed(yarn_stack: YarnStack, record: Callable[[Row], None]) -> None:
    params, cluster = yarn_stack.plan("executor-killed")
    began = time.monotonic()
    started = yarn_stack.start(cluster, step(FEATURIZE, params))

    def executors() -> list[psutil.Process]:
        processes = Supervisor(yarn_stack.stack).processes()
        return [process for process in processes if EXECUTOR in command_line(process)]

    yarn_stack.wait(started, lambda states: states == ["RUNNING"] and len(executors()) >= 2)
    executors()[0].kill()
    yarn_stack.wait(started, lambda states: not {"PENDING", "RUNNING"} & set(states))
    (ended,) = yarn_stack.emr.list_steps(ClusterId=started)["Steps"]
    assert ended["Status"]["State"] == "COMPLETED", yarn_stack.logs(started)
    yarn_stack.emr.terminate_job_flows(JobFlowIds=[started])
    wait_until(lambda: not executors(), timeout_s=60)

    features = yarn_stack.features(params)
    rows = json.loads(yarn_stack.read(layout.manifest(params.run, FEATURIZE.name)).read())["rows_out"]
    listed = yarn_stack.s3.list_objects_v2(Bucket=params.bucket, Prefix=layout.raw_prefix(params.drop))["Contents"]
    photos = {item["Key"] for item in listed} - {layout.ready(params.drop)}
    outcome = Outcome(
        lost=sorted(photos - set(features)),
        doubled=[f"{rows - len(features)} rows"] if rows != len(features) else [],
        tables=[],
        alive=[f"process {process.pid}" for process in executors()],
    )
    record(
        Row("executor killed in featurize (YARN, the stage alone)", "success", "Spark", round(time.monotonic() - began), outcome)
    )
