"""Reports how far a stage is: in the step's log, and as an object that the Airflow task reads while it waits.

EMR archives the log of a step only every five minutes.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from obstore.exceptions import BaseError as StorageError
from pyspark import SparkContext

from fruits.repeating import repeating
from fruits.stage_run import StageRun
from fruits.task_counts import TaskCounts
from fruits_contract import layout
from fruits_contract.progress import Progress

EVERY_S = 2.0
PRINT_EVERY_S = 10.0  # the end of the log should still show what came before a failure

Count = Callable[[], tuple[int, int]]


@contextmanager
def show_progress(run: StageRun[Any], *, what: str, unit: str = "tasks", count: Count | None = None) -> Iterator[None]:
    """Report the progress of the body every few seconds.

    Parameters
    ----------
    what
        What the body does, e.g. "reading features".
    unit
        Of what `count` returns.
    count
        Returns done and total, which is 0 where it is unknown; by default the tasks of the Spark job that is running.
    """
    count = count or (lambda: count_tasks(run.context))
    began = time.monotonic()
    printed_at = began
    speed = Speed()

    def report() -> None:
        nonlocal printed_at
        done, total = count()
        now = time.monotonic()
        per_second = speed.at(now, done)
        progress = Progress(what=what, done=done, total=total, unit=unit, seconds=round(now - began, 1), per_second=per_second)
        if now - printed_at >= PRINT_EVERY_S:
            print(f"{run.stage.name}: {progress.summary()}", file=sys.stderr, flush=True)
            printed_at = now
        run.storage.write(layout.progress(run.params.run, run.stage.name), progress.to_json())

    with repeating(report, every_s=EVERY_S):
        yield


@contextmanager
def show_photos(run: StageRun[Any], *, what: str, total: int) -> Iterator[str]:
    """Report the progress of the body in photos, which its tasks count in the folder that this yields (`task_counts`)."""
    folder = layout.task_counts(run.params.run, run.stage.name)
    run.storage.delete_folder(folder)  # the counts of an earlier attempt of the stage
    counts = TaskCounts(run.storage, folder)
    try:
        with show_progress(run, what=what, unit="photos", count=lambda: (counts.total(), total)):
            yield folder
    finally:
        try:
            run.storage.delete_folder(folder)
        except StorageError as error:
            print(f"{run.stage.name}: task counts could not be deleted: {error}", file=sys.stderr, flush=True)


class Speed:
    """The speed since the first items were done."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def at(self, now: float, done: int) -> float:
        """Return items per second at the time `now`, 0 while it is unknown; `done` falls where another Spark job begins."""
        if not done or (self._first and done < self._first[1]):
            self._first = None
        elif self._first is None:
            self._first = (now, done)
        elif now > self._first[0]:
            return round((done - self._first[1]) / (now - self._first[0]), 3)
        return 0.0


def count_tasks(context: SparkContext) -> tuple[int, int]:
    """Return how many tasks of Spark's running stage are done, and of how many; (0, 0) while none is running."""
    tracker = context.statusTracker()
    for number in tracker.getActiveStageIds():
        stage = tracker.getStageInfo(number)
        if stage is not None:
            return stage.numCompletedTasks, stage.numTasks
    return 0, 0
