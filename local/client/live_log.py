"""The end of the log of whatever runs at the moment: a step, a bootstrap action, or else the Airflow task."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError as StorageError
from obstore.store import S3Store

from fruits_contract import layout
from fruits_contract.pipelines import STAGES
from fruits_contract.progress import Progress
from local.client.airflow_api import RUNNING, AirflowApi, DagRun, TaskRun

if TYPE_CHECKING:
    from obstore.store import RetryConfig

STAGE_NAMES = frozenset(stage.name for stage in STAGES)
TAIL_BYTES = 32_768
AIRFLOW_LOG_EVERY_S = 3.0
# The screen must not stand still for a server that does not answer.
RETRIES: "RetryConfig" = {"max_retries": 1, "retry_timeout": timedelta(seconds=2)}


@dataclass(frozen=True)
class LogTail:
    """The last lines of one log, what it is the log of, and how far its stage is."""

    title: str
    lines: tuple[str, ...] = ()
    progress: Progress | None = None


class LiveLog:
    """Reads logs in the EMR service's folder, those that are not in it through Airflow's API, and the progress in the bucket."""

    def __init__(self, api: AirflowApi, emr_folder: Path, bucket: str) -> None:
        self._api = api
        self._emr = emr_folder
        self._store = S3Store(bucket, retry_config=RETRIES)
        self._since = time.time()
        self._read_at = 0.0
        self._airflow_log = LogTail("")

    def now(self, run: DagRun, *, count: int) -> LogTail:
        """Return the last `count` lines of what is running now."""
        running = [task for task in run.tasks if task.state in RUNNING]
        return self._tail_of(run, running[-1], count=count) if running else LogTail("")

    def _tail_of(self, run: DagRun, task: TaskRun, *, count: int) -> LogTail:
        """Return the last `count` lines of a task's step where it has one, else of the task itself."""
        progress = self._progress(run, task) if task.task in STAGE_NAMES else None
        path = self._newest(self._step_logs(task.task) if task.task in STAGE_NAMES else self._bootstrap_logs(task.task))
        if path:
            title = f"{task.task}, {path.name} of {path.parent.name}"
            return LogTail(title, tuple(_tail(path)[-count:]), progress)
        title = f"{task.task}, Airflow's log"
        if title != self._airflow_log.title or time.monotonic() - self._read_at > AIRFLOW_LOG_EVERY_S:
            self._airflow_log = LogTail(title, tuple(self._api.log(run, task)))
            self._read_at = time.monotonic()
        return LogTail(title, self._airflow_log.lines[-count:], progress)

    def _progress(self, run: DagRun, task: TaskRun) -> Progress | None:
        try:
            content = obstore.get(self._store, layout.progress(layout.run_name(run.id), task.task)).bytes()
            return Progress.from_json(content.to_bytes())
        except (FileNotFoundError, StorageError):
            return None
        except (ValueError, TypeError):  # written by another version of the stages
            return None

    def ended(self, run: DagRun, task: TaskRun, *, count: int) -> LogTail:
        """Return the end of Airflow's log of a task that is over: which includes the end of its step's log."""
        lines = [line for line in self._api.log(run, task) if not line.startswith("::")]
        return LogTail(f"{task.task}, Airflow's log", tuple(lines[-count:]))

    def _step_logs(self, stage: str) -> list[Path]:
        steps = [
            path.parent
            for path in self._emr.glob("*/steps/*/controller")
            if path.stat().st_mtime >= self._since and f"/{stage}.py" in path.read_text(errors="replace")
        ]
        return [step / name for step in steps for name in ("stdout", "stderr")]

    def _bootstrap_logs(self, task: str) -> Iterable[Path]:
        return self._emr.glob("*/bootstrap-actions/*/std*") if task == "create_cluster" else ()

    def _newest(self, paths: Iterable[Path]) -> Path | None:
        stats = [(path.stat(), path) for path in paths if path.is_file()]
        written = [(stat.st_mtime, path) for stat, path in stats if stat.st_size and stat.st_mtime >= self._since]
        return max(written)[1] if written else None


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
