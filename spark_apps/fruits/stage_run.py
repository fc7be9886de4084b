"""The frame of every stage: argv in, a Spark context, a manifest out.

The context sets only its name: master, endpoints and credentials are the cluster's. No stage uses Spark SQL, whose first query
loads classes for seconds.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark import SparkConf, SparkContext

from fruits.storage import Storage
from fruits_contract import layout
from fruits_contract.features_pipeline import FeaturesRunParams
from fruits_contract.manifest import Manifest, WrittenFile
from fruits_contract.pipeline import Stage


@dataclass(frozen=True)
class StageRun:
    """One stage of one run, while it runs."""

    stage: Stage
    params: FeaturesRunParams
    context: SparkContext
    storage: Storage
    started_at: str
    _clock: float

    @classmethod
    def begin(cls, stage: Stage, argv: Sequence[str]) -> "StageRun":
        """Read argv, open Spark, and start the clock."""
        params = FeaturesRunParams.from_argv(argv)
        context = SparkContext.getOrCreate(SparkConf().setAppName(f"fruits {stage.name} {params.run}"))
        storage = Storage(params.bucket)
        print(f"{stage.name}: {stage.does}", flush=True)
        return cls(stage, params, context, storage, datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic())

    def files_of(self, stage: Stage, table: str) -> list[WrittenFile]:
        """Return the files that an earlier stage wrote for a table (`layout.FEATURES_TABLE`, ...)."""
        return [file for file in self.manifest_of(stage).files if file.key.startswith(f"{table}/")]

    def manifest_of(self, stage: Stage) -> Manifest:
        """Return what an earlier stage of this run left."""
        return Manifest.from_json(self.storage.read(layout.manifest(self.params.run, stage.name)))

    def leave(self, *, files: Iterable[WrittenFile] = (), **fields: Any) -> Manifest:
        """Write the stage's manifest and close Spark; the fields are those of `Manifest`."""
        manifest = Manifest(
            stage=self.stage.name,
            run=self.params.run,
            started_at=self.started_at,
            seconds=round(time.monotonic() - self._clock, 3),
            files=tuple(files),
            **fields,
        )
        self.storage.write(layout.manifest(self.params.run, self.stage.name), manifest.to_json())
        print(
            f"{self.stage.name}: {manifest.rows_in:,} in, {manifest.rows_out:,} out, {manifest.rows_rejected:,} rejected "
            f"in {manifest.seconds:.1f} s",
            flush=True,
        )
        for finding in manifest.findings:
            print(f"  {finding.severity}: {finding.check}: {finding.message}", flush=True)
        self.context.stop()
        return manifest
