"""make bench-drops: planning a fit and reading its features, over 100 and over 1,000 daily drops of 50 photos."""

import argparse
import json
import logging
import shutil
import sys
import time
from datetime import date, timedelta
from functools import partial

import boto3

from benchmarks import command_line, commands
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, SPARK_HOME, s3_only
from benchmarks.publish import EXTRACTOR, rows_of
from benchmarks.results import Results
from benchmarks.rounds import Samples, alternate
from fruits.storage import Storage
from fruits_airflow.bucket import Bucket
from fruits_airflow.emr.steps import step
from fruits_airflow.planning import plan_run
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, FIT_PCA, FeaturesRunParams
from fruits_contract.manifest import Manifest
from release import contents

SIZES = "100,1000"
PHOTOS = 50  # of a drop
FIRST_DAY = date(2024, 1, 1)
NEW_DROP = "new"
PLAN, FIT = "plan_batch (s)", "fit_pca (s)"


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
    """Plan and fit on more and more drops."""
    sizes: list[int] = arguments.sizes
    if len(sizes) < 2:
        raise CannotMeasure("growth needs two sizes, e.g. OPTIONS='--sizes 10,100'")
    samples: dict[str, dict[str, list[float]]] = {}
    rounds = None
    try:
        with s3_only():
            storage = Storage(BUCKET)
            bucket = Bucket(BUCKET, session=boto3.Session(), client=boto3.client("s3"))
            release = contents.collect(EXTRACTOR)
            for key, content in release.files.items():
                storage.write(key, content)
            card = {"release": release.release, "extractor": EXTRACTOR, "tensorflow": False}
            storage.write(layout.release_card(release.release), json.dumps(card))
            for number in range(PHOTOS):
                storage.write(layout.raw_image(NEW_DROP, "Variety", f"{number}.jpg"), str(number))
            published = 0
            for drops in sizes:
                publish_drops(storage, PublishedTable(bucket, layout.FEATURES_TABLE), range(published, drops))
                published = drops
                rounds = alternate(
                    {_name(drops): partial(_plan_and_fit, bucket, release.release, drops)}, repetitions=arguments.repetitions
                )
                samples |= rounds.samples
    finally:
        shutil.rmtree(SPARK_HOME / "work", ignore_errors=True)  # local-cluster's workers leave their files there
    assert rounds is not None, "there are sizes"
    rounds.samples = samples
    small, large = _name(sizes[0]), _name(sizes[-1])
    growth = {quantity: rounds.median(large, quantity) / rounds.median(small, quantity) for quantity in (PLAN, FIT)}
    files = sizes[-1] / sizes[0]
    return Results(
        rounds,
        ratios={"plan_growth": growth[PLAN] / files, "fit_growth": growth[FIT] / files},
        settings={"drops": sizes, "photos of a drop": PHOTOS},
        checks={"growth of each": growth},
    )


def _name(drops: int) -> str:
    return f"{drops:,} drops"


def _plan_and_fit(bucket: Bucket, release: str, drops: int) -> Samples:
    settings = Settings(bucket=BUCKET, region="eu-north-1", release=release)
    logging.disable(logging.INFO)
    began = time.monotonic()
    params = plan_run(bucket, settings, dag_run_id=f"fit-{drops}", drop=NEW_DROP, requested={"mode": "fit"}).params
    planned_s = time.monotonic() - began
    assert isinstance(params, FeaturesRunParams), "a run of fruits_features"
    featurized = Manifest(FEATURIZE.name, params.run, "2026-11-22T03:00:00+00:00", 1.0)
    bucket.write(layout.manifest(params.run, FEATURIZE.name), featurized.to_json().encode())
    commands.run(step(FIT_PCA, params)["HadoopJarStep"]["Args"])
    fitted = Manifest.from_json(bucket.read(layout.manifest(params.run, FIT_PCA.name)))
    if fitted.rows_in != drops * PHOTOS:
        raise CannotMeasure(f"the fit read {fitted.rows_in} photos instead of {drops * PHOTOS}")
    return {PLAN: planned_s, FIT: fitted.seconds}


if __name__ == "__main__":
    parser = command_line.parser("drops", __doc__, repetitions=3)
    parser.add_argument("--sizes", type=command_line.sizes, default=SIZES, metavar="N,N", help="drops (default: %(default)s)")
    sys.exit(command_line.main("drops", parser.parse_args(), measure))
