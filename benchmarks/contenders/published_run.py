"""Publishes one run in its own process and prints the peak of the process's memory: ours, or one delta-rs merge per table.

Arguments: the bucket, the run's parameters as JSON, and `ours` or `merge`.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import open_table
from fruits_airflow.publishing import publish_run
from fruits_airflow.table_files import partitions_of, schema_of
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, TRANSFORM_PCA, FeaturesRunParams
from fruits_contract.manifest import Manifest, WrittenFile


def merge_run(bucket: Bucket, params: FeaturesRunParams) -> None:
    """Insert a run's rows and replace those with the same path, by a merge whose source is streamed."""
    for key, stage in ((layout.PROJECTED_TABLE, TRANSFORM_PCA), (layout.FEATURES_TABLE, FEATURIZE)):
        table = open_table(bucket, key)
        assert table is not None, "another run is published"
        files = Manifest.from_json(bucket.read(layout.manifest(params.run, stage.name))).files
        schema = pa.schema(schema_of(key).to_arrow())
        names = ["path", *(name for name in partitions_of(key) if name != "run")]
        merger = table.merge(
            pa.RecordBatchReader.from_batches(schema, _batches(bucket, key, files, schema)),
            predicate=" AND ".join([*(f"old.{name} = new.{name}" for name in names), f"old.drop = '{params.drop}'"]),
            source_alias="new",
            target_alias="old",
        )
        merger.when_matched_update_all().when_not_matched_insert_all().execute()


def _batches(bucket: Bucket, key: str, files: Iterable[WrittenFile], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for file in files:
        constants = layout.partition_values(file.key)
        with bucket.open(file.key) as source:
            for batch in pq.ParquetFile(source).iter_batches(batch_size=1024):
                for name in partitions_of(key):
                    batch = batch.append_column(name, pa.array([constants[name]] * len(batch), pa.string()))
                yield batch.select(schema.names).cast(schema)


def main(name: str, described: str, how: str) -> None:
    """Publish and print seconds and peak memory."""
    bucket = Bucket(name, session=boto3.Session(), client=boto3.client("s3"))
    params = FeaturesRunParams(**json.loads(described))
    began = time.monotonic()
    {"ours": publish_run, "merge": merge_run}[how](bucket, params)
    seconds = time.monotonic() - began
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Return the peak of this process's resident memory; `ru_maxrss` would include the parent's at the time of the fork."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
