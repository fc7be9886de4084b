"""Peak memory of the processes of a Spark job, sampled while it runs."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from fruits_contract.pipelines import STAGES

APPS = [f"/{stage.name}.py" for stage in STAGES]
INTERVAL_S = 0.5
DRIVER, EXECUTORS, WORKERS, TOTAL = "driver", "executors", "Python workers", "all together"


@contextmanager
def sampled_peaks() -> Iterator[dict[str, float]]:
    """Sample the processes that this one has started; yield the peaks in MB, which grow while the body runs.

    Counted is memory that no other process shares (USS). The peak of `TOTAL` is that of one moment.
    """
    peaks = dict.fromkeys((DRIVER, EXECUTORS, WORKERS, TOTAL), 0.0)
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(INTERVAL_S):
            now = Counter[str]()
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                    if kind := kind_of(process.cmdline()):
                        now[kind] += process.memory_full_info().uss / 2**20
            now[TOTAL] = sum(now.values())
            for kind, peak in peaks.items():
                peaks[kind] = max(peak, now[kind])

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()


def kind_of(argv: Sequence[str]) -> str:
    """Return which part of Spark a process is, by its command line; '' for others, such as shells."""
    if any(word.endswith("CoarseGrainedExecutorBackend") for word in argv):
        return EXECUTORS
    if any(word in ("pyspark.daemon", "pyspark.worker") for word in argv):
        return WORKERS
    # in client mode the stage itself is a Python process below the driver's JVM
    if any(word.endswith(("deploy.SparkSubmit", *APPS)) for word in argv):
        return DRIVER
    return ""
