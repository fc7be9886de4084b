"""Prints the progress of a Spark job to the driver's stderr, the step's log."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import SparkContext

EVERY_S = 10.0


@contextmanager
def show_progress(context: SparkContext, *, what: str) -> Iterator[None]:
    """Print a line every few seconds while the body's Spark job runs: tasks done, and about how long the rest takes."""
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(context, what, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _watch(context: SparkContext, what: str, done: threading.Event) -> None:
    tracker = context.statusTracker()
    began = time.monotonic()
    while not done.wait(EVERY_S):
        for number in tracker.getActiveStageIds():
            stage = tracker.getStageInfo(number)
            if stage is None or not stage.numTasks:
                continue
            all_tasks, finished, seconds = stage.numTasks, stage.numCompletedTasks, time.monotonic() - began
            left = f", about {seconds / finished * (all_tasks - finished):.0f} s left" if finished else ""
            print(f"{what}, {finished} of {all_tasks} tasks done after {seconds:.0f} s{left}", file=sys.stderr, flush=True)
