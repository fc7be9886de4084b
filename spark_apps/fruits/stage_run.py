"""The frame around a stage: argv in, a Spark session, a manifest out.

It must not know what any one stage does. The session sets only its name: master, endpoints and credentials are the cluster's.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.sql import DataFrame, SparkSession

from fruits.storage import Storage
from fruits_contract import layout
from fruits_contract.columns import ddl
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

    @cached_property
    def spark(self) -> SparkSession:
        """Spark SQL, for the stages that need it: its first query loads classes for seconds."""
        return SparkSession.builder.getOrCreate()

    def table(self, *folders: str, columns: dict[str, str]) -> DataFrame:
        """Read Parquet files or folders of the bucket, with the columns of the contract; nothing to read gives no rows."""
        schema = ddl(columns)
        if not folders:
            return self.spark.createDataFrame([], schema)
        return self.spark.read.schema(schema).parquet(*map(self.uri, folders)).select(*columns)

    def written(self, stage: Stage, table: str, *, columns: dict[str, str]) -> DataFrame:
        """Return the rows that an earlier stage wrote for a table (`layout.FEATURES_TABLE`, ...), as its manifest names them."""
        files = [file.key for file in self.manifest_of(stage).files if file.key.startswith(f"{table}/")]
        return self.table(*files, columns=columns)

    def uri(self, key: str) -> str:
        """Return the s3:// address of a key."""
        return layout.uri(self.params.bucket, key)

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
