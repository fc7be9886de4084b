"""A run that is followed without a terminal is never silent for longer than five seconds."""

import io
import time
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from mypy_boto3_s3 import S3Client
from rich.console import Console

from fruits_contract import layout
from fruits_contract.progress import Progress
from local.client.airflow_api import AirflowApi, DagRun, TaskRun
from local.client.dag_runs import follow
from local.client.live_log import LiveLog

SILENCE_S = 5.0
DAG, RUN_ID = "fruits_features", "manual__2026-11-27T10:00:00+00:00"
# Until which second of the run a task is active, in which state; each starts when the one before it has ended.
SCRIPT = (
    ("plan_batch", "running", 4.0),
    ("create_cluster", "running", 5.0),
    ("featurize", "deferred", 70.0),
    ("publish", "running", 95.0),
)
ANSWER_S = 0.5  # of Airflow, while Spark uses all cores


class Clock:
    """Time that passes only by sleeping and by requests."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Airflow:
    """An API that plays the script, and a stage that writes its progress meanwhile."""

    def __init__(self, clock: Clock, s3: S3Client, bucket: str) -> None:
        self._clock, self._s3, self._bucket = clock, s3, bucket

    def task_order(self, dag: str) -> list[str]:
        return [task for task, _, _ in SCRIPT]

    def dag_run(self, dag: str, run: str, *, order: list[str]) -> DagRun:
        self._clock.sleep(ANSWER_S)
        now, began, tasks = self._clock.now, 0.0, []
        for task, state, end in SCRIPT:
            shown = "waiting" if now < began else state if now < end else "success"
            tasks.append(TaskRun(task, shown, max(0.0, min(now, end) - began), 1))
            began = end
        progress = Progress(what="featurizing", done=int(now * 10), total=4320, unit="photos", seconds=now)
        key = layout.progress(layout.run_name(run), "featurize")
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=progress.to_json().encode())
        return DagRun(dag, run, "success" if now >= began else "running", now, tuple(tasks))

    def log(self, run: DagRun, task: TaskRun) -> list[str]:
        self._clock.sleep(ANSWER_S)
        return []


class Lines(io.StringIO):
    """What is printed, and when."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.times: list[float] = []

    def write(self, text: str) -> int:
        self.times += [self._clock.now] * text.count("\n")
        return super().write(text)


def test_no_silence_is_longer_than_five_seconds(
    s3: S3Client, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    out, api = Lines(clock), cast(AirflowApi, Airflow(clock, s3, bucket))
    ended = follow(api, DAG, RUN_ID, console=Console(file=out, width=200), log=LiveLog(api, tmp_path, bucket))
    assert ended.state == "success"
    moments = [0.0, *out.times]
    assert max(later - earlier for earlier, later in pairwise(moments)) <= SILENCE_S
    printed = out.getvalue()
    assert "deferred         featurizing: " in printed
    assert " of 4,320 photos in " in printed
