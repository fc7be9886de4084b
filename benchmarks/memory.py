"""How much memory the processes of a Spark job take at most, by kind, looked at while it runs.

It must not know what the job does.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

INTERVAL_S = 0.5
DRIVER, EXECUTORS, WORKERS, ALL = "driver", "executors", "Python workers", "all together"
KINDS = (DRIVER, EXECUTORS, WORKERS)
MB = 2**20


@dataclass
class Peaks:
    """The largest memory of each kind, and of all together at one moment, in MB: memory that is the process's own (USS)."""

    mb: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*KINDS, ALL), 0.0))

    @contextmanager
    def watch(self, root: psutil.Process) -> Iterator[None]:
        """Look at the processes below `root` as long as the body runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._look, args=(root, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _look(self, root: psutil.Process, stop: threading.Event) -> None:
        while not stop.wait(INTERVAL_S):
            now = Counter[str]()
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in (root, *root.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        if kind := kind_of(process.cmdline()):
                            now[kind] += process.memory_full_info().uss / MB
            now[ALL] = sum(now.values())
            self.mb = {kind: max(peak, now[kind]) for kind, peak in self.mb.items()}


def kind_of(words: list[str]) -> str:
    """Return what a process of Spark's is, by its command line; '' for helpers such as shells."""
    if any(word.endswith(("CoarseGrainedExecutorBackend", "YarnCoarseGrainedExecutorBackend")) for word in words):
        return EXECUTORS
    if any(word.endswith("deploy.SparkSubmit") for word in words):
        return DRIVER
    if any(word in ("pyspark.daemon", "pyspark.worker") for word in words):
        return WORKERS
    # in client mode the stage itself is a Python below the driver's JVM
    return DRIVER if any(word.endswith("/featurize.py") for word in words) else ""
