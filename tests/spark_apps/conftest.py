"""A real Spark on a real S3 server: one context in this process, and one run of all stages through spark-submit."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import SparkConf, SparkContext

from fruits.storage import Storage
from fruits_contract import columns, layout
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE, ClassifierRunParams
from fruits_contract.features_pipeline import FEATURES_PIPELINE, FEATURIZE, FeaturesRunParams
from fruits_contract.manifest import Manifest
from fruits_contract.pipeline import RunParams, Stage
from fruits_contract.plan_summary import PlanSummary
from local.client import synthetic_photos
from release import contents
from release.extractor import Extractor
from tests.spark_apps import spark_under_test

VARIETIES = ("Apple Golden 1", "Cherry 3", "Tomato 1")
PER_VARIETY = 20
OWN_OBJECT = {"shard": "", "shard_etag": "", "offset": 0}
SUBMIT_LIMIT_S = 600
LEFT_BEHIND = "part-00000-999.parquet"
PLAN = PlanSummary(
    instance="m7a.xlarge", nodes=2, expected_seconds=600, spot_usd=0.11, on_demand_usd=0.2, s3_usd=0.004, previous_run="r0"
)
# What the report reads of the report of the previous run.
REPORT_BEFORE = {
    "run": "r0",
    "drop": "earlier",
    "images": 50,
    "rejects": 1,
    "pca": {"model_id": "r0", "k": 7},
    "explained_variance_of_this_run": 0.71,
}


@dataclass(frozen=True)
class Run:
    """What the five stages left behind in the bucket."""

    params: FeaturesRunParams
    s3: Any
    varieties: dict[str, int]
    broken: dict[str, str]

    def read(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=self.params.bucket, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.params.bucket, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]

    def manifest(self, stage: Stage) -> Manifest:
        return Manifest.from_json(self.read(layout.manifest(self.params.run, stage.name)))

    def table(self, prefix: str) -> pa.Table:
        files = [key for key in self.keys(prefix) if key.endswith(".parquet")]
        return pa.concat_tables(pq.ParquetFile(io.BytesIO(self.read(key))).read() for key in files)

    @property
    def photos(self) -> int:
        return sum(self.varieties.values())

    @property
    def readable(self) -> int:
        return self.photos - len(self.broken)

    @cached_property
    def features(self) -> pa.Table:
        return self.table(layout.features_part(self.params.drop, self.params.run))

    @cached_property
    def vectors(self) -> np.ndarray:
        """The features that were written, one row per photo, float32."""
        return np.array(self.features["features"].to_pylist(), dtype=np.float32)

    @cached_property
    def pca(self) -> dict[str, np.ndarray]:
        with np.load(io.BytesIO(self.read(layout.pca_arrays(self.params.pca))), allow_pickle=False) as arrays:
            return dict(arrays)

    @cached_property
    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = json.loads(self.read(layout.pca_card(self.params.pca)))
        return card


@pytest.fixture(scope="session")
def spark_variables(s3_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that runs this Spark on the test's S3 server."""
    conf = spark_under_test.write_config(tmp_path_factory.mktemp("state"), s3_endpoint=s3_environment["AWS_ENDPOINT_URL_S3"])
    return spark_under_test.variables(conf, s3_environment)


@pytest.fixture(scope="session")
def context(spark_variables: dict[str, str]) -> Iterator[SparkContext]:
    """A Spark of one thread in this process, for small files."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_variables.items():  # read once, when the JVM starts
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        conf = SparkConf().setMaster("local[1]").setAppName("tests").set("spark.pyspark.python", sys.executable)
        opened = SparkContext.getOrCreate(conf)
    yield opened
    opened.stop()


@pytest.fixture
def storage(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The bucket that the stages ran on, as a stage sees it."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    return Storage("first")


@pytest.fixture(scope="session")
def run(
    spark_variables: dict[str, str],
    extractor: Extractor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """One drop with four photos that cannot be read, taken through all five stages in fit mode."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_variables.items():
            patch.setenv(name, value)
        s3 = boto3.client("s3")
    release = contents.collect(extractor.digest)
    params = FeaturesRunParams(
        bucket="stages",
        run="r1",
        drop="small",
        release=release.release,
        extractor=extractor.digest,
        pca="r1",
        mode="fit",
        variance=0.7,
        max_reject_ratio=0.1,
    )
    s3.create_bucket(Bucket=params.bucket)

    def put(key: str, body: bytes) -> str:
        return s3.put_object(Bucket=params.bucket, Key=key, Body=body)["ETag"].strip('"')

    for key, content in release.files.items():
        put(key, content)
    put(layout.extractor(extractor.digest), extractor.path().read_bytes())

    good = _photos(tmp_path_factory)
    cut = next(iter(good.values()))
    cut = cut[: len(cut) // 2]
    first, second, third = sorted({layout.variety_of(key) for key in good})
    broken = {
        layout.raw_image(params.drop, first, "broken.jpg"): (cut, "truncated"),
        layout.raw_image(params.drop, first, "empty.jpg"): (b"", "empty"),
        layout.raw_image(params.drop, third, "text <b>.jpg"): (b"no photo at all", "not_an_image"),
        layout.raw_image(params.drop, third, "line\nbreak.jpg"): (next(iter(good.values())), "unreadable_key"),
    }
    photos = good | {key: content for key, (content, _) in broken.items()}
    etags = {key: put(key, content) for key, content in photos.items()}
    batch = [
        {
            "path": key,
            "etag": etags[key],
            "size_bytes": len(photos[key]),
            "label": layout.variety_of(key),
            "contributor": "",
            **OWN_OBJECT,
        }
        for key in photos
    ]
    table = pa.Table.from_pylist(batch, schema=columns.arrow_schema(columns.BATCH))
    content = io.BytesIO()
    pq.write_table(table, content)
    put(layout.batch(params.run), content.getvalue())
    put(layout.retained(params.run), b"[]")
    put(layout.plan_summary(params.run), PLAN.to_json().encode())
    put(layout.report_data(PLAN.previous_run), json.dumps(REPORT_BEFORE).encode())
    for part in (layout.features_part(params.drop, params.run), layout.projected_part(params.pca, params.drop, params.run)):
        put(f"{part}{LEFT_BEHIND}", b"what a task had written that was done again")

    folder = tmp_path_factory.mktemp("work")
    for stage in FEATURES_PIPELINE.stages:
        submit(params, stage, environment=spark_variables, folder=folder)
    varieties = {name: sum(layout.variety_of(key) == name for key in photos) for name in (first, second, third)}
    return Run(params, s3, varieties, {key: reason for key, (_, reason) in broken.items()})


@dataclass(frozen=True)
class TrainingRun:
    """What the two stages of a training left behind in the bucket, after those of `run`."""

    params: ClassifierRunParams
    features: Run

    def manifest(self, stage: Stage) -> Manifest:
        return Manifest.from_json(self.features.read(layout.manifest(self.params.run, stage.name)))

    @property
    def model_id(self) -> str:
        return self.manifest(CLASSIFIER_PIPELINE.stages[0]).digests["classifier"]

    @cached_property
    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = json.loads(self.features.read(layout.classifier_card(self.model_id)))
        return card


@pytest.fixture(scope="session")
def training(run: Run, spark_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """A classifier trained on the features of `run`."""
    params = ClassifierRunParams(
        bucket=run.params.bucket, run="c1", release=run.params.release, extractor=run.params.extractor, current=""
    )
    files = [file.key for file in run.manifest(FEATURIZE).files if file.key.startswith(f"{layout.FEATURES_TABLE}/")]
    run.s3.put_object(Bucket=params.bucket, Key=layout.retained(params.run), Body=json.dumps(files).encode())
    for stage in CLASSIFIER_PIPELINE.stages:
        submit(params, stage, environment=spark_variables, folder=tmp_path_factory.mktemp("training"))
    return TrainingRun(params, run)


def submit(params: RunParams, stage: Stage, *, environment: dict[str, str], folder: Path) -> None:
    """Run one stage as EMR does, from the bucket and with the packages from the zip alone."""
    package, script = layout.package_zip(params.release), layout.stage_script(params.release, stage.name)
    settings = {
        "spark.pyspark.python": sys.executable,
        "spark.driver.memory": "1g",
        # as a step has it, for the memory of the workers
        "spark.executor.processTreeMetrics.enabled": "true",
        "spark.executor.metrics.pollingInterval": "1s",
    }
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "spark-submit", "--master", "local[2]", "--deploy-mode", "client"),
            *(word for name, value in settings.items() for word in ("--conf", f"{name}={value}")),
            *("--py-files", layout.uri(params.bucket, package), layout.uri(params.bucket, script)),
            *params.to_argv(),
        ],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SUBMIT_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{stage.name} left with code {done.returncode}:\n{done.stdout}\n{done.stderr[-6000:]}"


def _photos(factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return good photos by key: real ones where they are, synthetic ones otherwise."""
    real = contents.ROOT.parent / "shared" / "fruits-360"
    varieties: tuple[str, ...] = VARIETIES
    if not real.is_dir():
        real = factory.mktemp("synthetic")
        synthetic_photos.generate(real, per_variety=PER_VARIETY)
        varieties = tuple(f"{synthetic_photos.PREFIX}{name}" for name in ("Apple", "Banana", "Cherry"))
    return {
        layout.raw_image("small", variety, path.name): path.read_bytes()
        for variety in varieties
        for path in sorted((real / variety).glob("*.jpg"))[:PER_VARIETY]
    }
