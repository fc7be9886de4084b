"""Plans a run of a drop in its own process and prints the seconds and the peak of the process's memory."""

import json
import logging
import sys
import time

import boto3
import pyarrow.parquet as pq
from airflow.providers.common.compat.sdk import AirflowSkipException

from benchmarks.contenders.published_run import peak_mb
from fruits_airflow.bucket import Bucket
from fruits_airflow.planning import plan_run
from fruits_airflow.settings import Settings
from fruits_contract import layout


def main(name: str, drop: str, release: str) -> None:
    """Plan and print."""
    logging.disable(logging.INFO)
    bucket = Bucket(name, session=boto3.Session(), client=boto3.client("s3"))
    settings = Settings(bucket=name, region="eu-north-1", release=release)
    before_mb, began = peak_mb(), time.monotonic()
    try:
        run = plan_run(bucket, settings, dag_run_id=f"plan-{drop}", drop=drop, requested={}).params.run
    except AirflowSkipException:
        run = ""
    measured = {"seconds": time.monotonic() - began, "peak_mb": peak_mb(), "imports_mb": before_mb}
    print(json.dumps({**measured, "photos": _count(bucket, run) if run else 0}))


def _count(bucket: Bucket, run: str) -> int:
    with bucket.open(layout.batch(run)) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
