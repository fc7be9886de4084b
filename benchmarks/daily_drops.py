"""make bench-drops: planning a fit and reading its features, over 100 and over 1,000 daily drops of 50 photos."""

import argparse
import json
import logging
import sys
import time
from datetime import date, timedelta
from functools import partial

import boto3

from benchmarks import command_line
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, s3_only
from benchmarks.publish import EXTRACTOR, rows_of
from benchmarks.results import Results
from benchmarks.rounds import Rounds, Samples, alternate
from fruits.feature_files import FeatureFile, read_features
from fruits.storage import Storage
from fruits_airflow.bucket import Bucket
from fruits_airflow.planning import plan_run
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout

SIZES = "100,1000"
PHOTOS = 50  # of a drop
FIRST_DAY = date(2024, 1, 1)
NEW_DROP = "new"
RELEASE = "bench"
PLAN, READ = "planning (s)", "reading (s)"


def publish_drops(storage: Storage, table: PublishedTable, numbers: range) -> None:
    """Publish the features of daily drops, one commit each, as their runs do."""
    for number in numbers:
        drop = (FIRST_DAY + timedelta(days=number)).isoformat()
        names = range(number * PHOTOS, (number + 1) * PHOTOS)
        batches = (tables[layout.FEATURES_TABLE] for tables in rows_of(names, drop=drop, etag=drop))
        key = f"{layout.features_part(drop, drop)}part-00000.parquet"
        file = storage.write_parquet(key, batches, columns.arrow_schema(columns.FEATURES))
        assert file, "there are rows"
        table.publish([file], run=drop)


def measure(arguments: argparse.Namespace) -> Results:
    """Plan a fit, and read what it has listed, on more and more drops."""
    sizes: list[int] = arguments.sizes
    if len(sizes) < 2:
        raise CannotMeasure("growth needs two sizes, e.g. OPTIONS='--sizes 10,100'")
    rounds = Rounds()
    with s3_only():
        storage = Storage(BUCKET)
        bucket = Bucket(BUCKET, session=boto3.Session(), client=boto3.client("s3"))
        card = {"release": RELEASE, "extractor": EXTRACTOR, "tensorflow": False}
        storage.write(layout.release_card(RELEASE), json.dumps(card))
        for number in range(PHOTOS):
            storage.write(layout.raw_image(NEW_DROP, "Variety", f"{number}.jpg"), str(number))
        published = 0
        for drops in sizes:
            publish_drops(storage, PublishedTable(bucket, layout.FEATURES_TABLE), range(published, drops))
            published = drops
            contender = {_name(drops): partial(_plan_and_read, bucket, drops)}
            rounds.samples |= alternate(contender, repetitions=arguments.repetitions).samples
    small, large = _name(sizes[0]), _name(sizes[-1])
    growth = {quantity: rounds.median(large, quantity) / rounds.median(small, quantity) for quantity in (PLAN, READ)}
    files = sizes[-1] / sizes[0]
    return Results(
        rounds,
        ratios={"plan_growth": growth[PLAN] / files, "read_growth": growth[READ] / files},
        settings={"drops": sizes, "photos of a drop": PHOTOS},
        checks={"growth of each": growth},
    )


def _name(drops: int) -> str:
    return f"{drops:,} drops"


def _plan_and_read(bucket: Bucket, drops: int) -> Samples:
    settings = Settings(bucket=BUCKET, region="eu-north-1", release=RELEASE)
    logging.disable(logging.INFO)
    began = time.monotonic()
    params = plan_run(bucket, settings, dag_run_id=f"fit-{drops}", drop=NEW_DROP, requested={"mode": "fit"}).params
    planned_s = time.monotonic() - began
    files = [FeatureFile(key) for key in json.loads(bucket.read(layout.retained(params.run)))]
    began = time.monotonic()
    photos = sum(len(rows) for file in files for rows in read_features(file, bucket=BUCKET, extractor=EXTRACTOR))
    read_s = time.monotonic() - began
    if photos != drops * PHOTOS:
        raise CannotMeasure(f"the files that the fit has listed hold {photos} photos instead of {drops * PHOTOS}")
    return {PLAN: planned_s, READ: read_s}


if __name__ == "__main__":
    parser = command_line.parser("drops", __doc__, repetitions=3)
    parser.add_argument("--sizes", type=command_line.sizes, default=SIZES, metavar="N,N", help="drops (default: %(default)s)")
    sys.exit(command_line.main("drops", parser.parse_args(), measure))
