"""Drops that are planned as the DAG does it, and whose stages run in the Spark of this process: seconds instead of a minute."""

from tests.fixtures import airflow_home  # noqa: F401

# isort: split
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client
from pyspark import SparkContext

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, FeaturesRunParams
from fruits_contract.manifest import Manifest
from fruits_contract.pipeline import Stage
from release.extractor import Extractor
from tests.fixtures import published_run

DROP = "odd"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Deployment:
    """A bucket with a release and its extractor, and the Spark for its stages."""

    s3: S3Client
    bucket: Bucket
    settings: Settings
    context: SparkContext

    @classmethod
    def of(cls, s3: S3Client, bucket: Bucket, context: SparkContext, extractor: Extractor) -> "Deployment":
        settings = Settings(bucket=bucket.name, region="eu-north-1", release="v1", subnets=("subnet-1",))
        published_run.add_release(bucket, settings.release, extractor=extractor.digest)
        bucket.write(layout.extractor(extractor.digest), extractor.path().read_bytes())
        return cls(s3, bucket, settings, context)

    def put(self, name: str, content: bytes) -> None:
        """Put an object into the drop; by boto3, which accepts the keys that obstore refuses."""
        self.s3.put_object(Bucket=self.bucket.name, Key=layout.raw_prefix(DROP) + name, Body=content)

    def plan(self, run: str, **requested: Any) -> FeaturesRunParams:
        """Plan a run of the drop with the reference engine."""
        return published_run.plan(self.bucket, self.settings, run, DROP, engine="litert", **requested)

    def run(self, params: FeaturesRunParams, stages: Sequence[Stage]) -> None:
        """Run stages; each would close Spark at its end."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SparkContext, "stop", lambda context: None)
            for stage in stages:
                importlib.import_module(stage.name).main(params.to_argv())

    def manifest(self, params: FeaturesRunParams, stage: Stage) -> Manifest:
        return Manifest.from_json(self.bucket.read(layout.manifest(params.run, stage.name)))

    def rows(self, params: FeaturesRunParams, table: str) -> Rows:
        """Return the rows that featurize wrote for a table, by the manifest; `path` without the drop's folder."""
        files = [file for file in self.manifest(params, FEATURIZE).files if file.key.startswith(f"{table}/")]
        rows: Rows = [row for file in files for row in pq.ParquetFile(io.BytesIO(self.bucket.read(file.key))).read().to_pylist()]
        return [row | {"path": row["path"].removeprefix(layout.raw_prefix(DROP))} for row in rows]
