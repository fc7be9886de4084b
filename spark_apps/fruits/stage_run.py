"""The frame of every stage: argv in, a Spark context, a manifest out.

The context sets only its name: master, endpoints and credentials are the cluster's. Stages work on RDDs and Arrow, because the
first query of Spark SQL loads classes for seconds; only `train_classifier` uses it, for Spark ML.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from pyspark import SparkConf, SparkContext

from fruits.executor_memory import peak_python_memory_mb
from fruits.storage import Storage
from fruits_contract import layout
from fruits_contract.manifest import Manifest, WrittenFile
from fruits_contract.pipeline import RunParams, Stage

Params = TypeVar("Params", bound=RunParams)


@dataclass(frozen=True)
class StageRun(Generic[Params]):
    """One stage of one run, while it runs."""

    stage: Stage
    params: Params
    context: SparkContext
    storage: Storage
    started_at: str
    _clock: float

    @classmethod
    def begin(cls, stage: Stage, argv: Sequence[str], params_type: type[Params]) -> "StageRun[Params]":
        """Read argv as the parameters of the stage's pipeline, open Spark, and start the clock."""
        params = params_type.from_argv(argv)
        context = SparkContext.getOrCreate(SparkConf().setAppName(f"fruits {stage.name} {params.run}"))
        storage = Storage(params.bucket)
        print(f"{stage.name}: {stage.does}", flush=True)
        return cls(stage, params, context, storage, datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic())

    def files_of(self, stage: Stage, table: str) -> list[WrittenFile]:
        """Return the files that an earlier stage wrote for a table (`layout.FEATURES_TABLE`, ...)."""
        return [file for file in self.manifest_of(stage).files if file.key.startswith(f"{table}/")]

    def manifest_of(self, stage: Stage) -> Manifest:
        """Return the manifest of an earlier stage of this run."""
        return Manifest.from_json(self.storage.read(layout.manifest(self.params.run, stage.name)))

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return round(time.monotonic() - self._clock, 3)

    def finish(self, *, files: Iterable[WrittenFile] = (), figures: Mapping[str, Any] | None = None, **fields: Any) -> Manifest:
        """Write the stage's manifest and close Spark; the fields are those of `Manifest`.

        The figures get `driver_memory_mb`, the peak of this process without its JVM, and `workers_memory_mb`
        (`peak_python_memory_mb`).
        """
        memory = {"driver_memory_mb": _peak_memory_mb(), "workers_memory_mb": peak_python_memory_mb(self.context)}
        manifest = Manifest(
            stage=self.stage.name,
            run=self.params.run,
            started_at=self.started_at,
            seconds=self.seconds,
            files=tuple(files),
            figures={**(figures or {}), **memory},
            **fields,
        )
        self.storage.write(layout.manifest(self.params.run, self.stage.name), manifest.to_json())
        print(manifest.summary(), flush=True)
        for finding in manifest.findings:
            print(f"  {finding.severity}: {finding.check}: {finding.message}", flush=True)
        self.context.stop()
        return manifest


def _peak_memory_mb() -> int:
    # Not resource.getrusage: its peak includes the process that started this one, which is a JVM.
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak[1]) // 1024 if peak else 0
