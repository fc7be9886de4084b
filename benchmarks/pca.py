"""make bench-pca: MLlib's PCA against ours, on features with the spectrum of real ones, and ours against NumPy's SVD."""

import argparse
import math
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import obstore
import pyarrow as pa
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks import command_line
from benchmarks.embedded_services import BUCKET, s3_only
from benchmarks.results import CORES, Ratio, Results
from benchmarks.rounds import Rounds, Samples, alternate
from fruits.engines import FEATURE_COUNT
from fruits.feature_files import FeatureFile
from fruits.features import ROWS_OUT
from fruits.pca import Pca, fit
from fruits.pca_jobs import moments_of
from fruits.photo_list import tasks_for
from fruits.storage import Storage
from fruits_airflow.emr import spark_conf
from fruits_contract import layout
from local.console import say

SIZES = "22688,67692"  # the photos of Fruits-360's test folder, and of its training folder, as in the notebook
# Measured on 4,320 real photos (18 varieties of Fruits-360): the n-th largest mean of a feature, and the n-th largest variance
# along a direction. Between these n a power law, a straight line of the logarithms.
MEANS = {1: 3.34, 10: 2.21, 50: 1.42, 100: 0.974, 200: 0.606, 400: 0.294, 800: 0.0808, 1280: 0.005}
VARIANCES = {
    1: 47.4,
    5: 10.8,
    20: 1.91,
    50: 0.538,
    100: 0.208,
    200: 0.0723,
    400: 0.0206,
    800: 0.00346,
    1200: 0.000202,
    1280: 2e-8,
}
MAX_FEATURE = 6.0  # MobileNetV2 ends with a ReLU6, so all features are between 0 and 6
EXTRACTOR = "0" * 64  # digest in the extractor column
MLLIB_COMPONENTS = 41  # fixed, as in the notebook; ours determines its number
VARIANCE = 0.70
# MLlib computes in the JVM: with Spark's own settings, not those of the embedded services for short jobs; both run with them.
CONF = {"spark.driver.memory": "6g", "spark.driver.extraJavaOptions": "-XX:+UseParallelGC"}
WHOLE, FIT = "from Parquet to model (s)", "fit of cached vectors (s)"


def synthetic_features(rows: int, *, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield features with the means and variances of real ones, in blocks of the size of featurize's files.

    The directions are random. A third of the features is clipped to 0, of real ones two fifths are 0, which saves MLlib work.

    Yields
    ------
    ndarray, shape (n, 1280), float32
        Between 0 and 6.
    """
    random = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(random.standard_normal((FEATURE_COUNT, FEATURE_COUNT)))
    spread = (directions * np.sqrt(_power_law(VARIANCES))).T.astype(np.float32)
    mean = random.permutation(_power_law(MEANS)).astype(np.float32)
    rows_per_file = math.ceil(rows / tasks_for(rows, 0, cores=CORES))
    for start in range(0, rows, rows_per_file):
        count = min(rows_per_file, rows - start)
        block = random.standard_normal((count, FEATURE_COUNT), dtype=np.float32) @ spread + mean
        yield np.clip(block, 0, MAX_FEATURE, out=block)


def _power_law(known: Mapping[int, float]) -> np.ndarray:
    """Return one value per feature, interpolated between the known ones."""
    numbers = np.arange(1, FEATURE_COUNT + 1)
    return np.exp(np.interp(np.log(numbers), np.log(list(known)), np.log(list(known.values()))))


class Fits:
    """Features in the bucket, and the last fit of each contender; `ours` and `mllib` measure one round."""

    def __init__(self, rows: int) -> None:
        say(f"writing {rows:,} x {FEATURE_COUNT:,} features")
        self.storage = Storage(BUCKET)
        self.folder = f"features/{rows}/"
        self.pca: Pca
        self.mllib_ratios: np.ndarray
        self.keys = []
        for number, block in enumerate(synthetic_features(rows)):
            self.keys.append(f"{self.folder}part-{number:03}.parquet")
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), FEATURE_COUNT)
            table = pa.table(
                {
                    "path": [layout.raw_image("bench", "synthetic", f"{number}-{row}.jpg") for row in range(len(block))],
                    "label": ["synthetic"] * len(block),
                    "extractor": [EXTRACTOR] * len(block),
                    "features": vectors.cast(pa.list_(pa.float32())),
                }
            )
            self.storage.write_parquet(self.keys[-1], table.to_batches(ROWS_OUT), table.schema)

    def ours(self, spark: SparkSession) -> Samples:
        """Fit ours: one pass for the moments, merged in a tree, and an eigendecomposition."""
        began = time.monotonic()
        files = [FeatureFile(item["path"]) for page in obstore.list(self.storage.store, prefix=self.folder) for item in page]
        moments = moments_of(spark.sparkContext, files, bucket=BUCKET, extractor=EXTRACTOR)
        moments_at = time.monotonic()
        self.pca = fit(moments, variance=VARIANCE)
        ended = time.monotonic()
        return {WHOLE: ended - began, "moments (s)": moments_at - began, "eigendecomposition (s)": ended - moments_at}

    def mllib(self, spark: SparkSession) -> Samples:
        """Fit MLlib's on vectors that are cached first, as in the notebook; the fit is timed separately."""
        began = time.monotonic()
        rows = spark.read.parquet(layout.uri(BUCKET, self.folder))
        vectors = rows.select(array_to_vector(F.col("features")).alias("vector")).cache()
        vectors.count()
        cached_at = time.monotonic()
        model = PCA(k=MLLIB_COMPONENTS, inputCol="vector", outputCol="pca").fit(vectors)
        ended = time.monotonic()
        vectors.unpersist(blocking=True)
        self.mllib_ratios = model.explainedVariance.toArray()
        return {WHOLE: ended - began, "caching the vectors (s)": cached_at - began, FIT: ended - cached_at}

    def errors(self) -> dict[str, float]:
        """Compare the last fits with NumPy's SVD of the centred features, float64; components up to their sign."""
        columns = [self.storage.read_column(key, "features").combine_chunks().flatten().to_numpy() for key in self.keys]
        features = np.concatenate(columns, dtype=np.float64).reshape(-1, FEATURE_COUNT)
        features -= features.mean(axis=0)
        _, singular_values, axes = np.linalg.svd(features, full_matrices=False)
        ratios = singular_values**2 / np.sum(singular_values**2)
        components = self.pca.components
        expected = axes[: len(components)]
        expected = expected * np.sign(np.sum(expected * components, axis=1))[:, None]
        return {
            "components": len(components),
            "max_ratio_error": float(np.abs(self.pca.spectrum[: len(ratios)] - ratios).max()),
            "max_component_error": float(np.abs(components - expected).max()),
            "mllib_max_ratio_error": float(np.abs(self.mllib_ratios - ratios[: len(self.mllib_ratios)]).max()),
        }


def measure(arguments: argparse.Namespace) -> Results:
    """Write the features, fit in turns, compare."""
    with s3_only():
        sizes = {rows: Fits(rows) for rows in arguments.sizes}
        conf: dict[str, Any] = {
            **{line.name: line.value for line in spark_conf.STEP},
            **CONF,
            "spark.ui.showConsoleProgress": "false",
        }
        on_interrupt = signal.getsignal(signal.SIGINT)
        spark = SparkSession.builder.appName("bench-pca").config(map=conf).getOrCreate()
        signal.signal(signal.SIGINT, on_interrupt)  # Spark sets its own, with which a second Ctrl-C ends the cleanup
        contenders = {}
        for rows, fits in sizes.items():
            contenders[f"ours, {rows:,} rows"] = partial(fits.ours, spark)
            contenders[f"mllib, {rows:,} rows"] = partial(fits.mllib, spark)
        rounds = alternate(contenders, repetitions=arguments.repetitions)
        spark.stop()
        say("NumPy's SVD")
        errors = {str(rows): fits.errors() for rows, fits in sizes.items()}
    return Results(
        rounds,
        ratios=ratios(rounds, arguments.sizes) | {"max_ratio_error": max(found["max_ratio_error"] for found in errors.values())},
        settings={"sizes": arguments.sizes, "features": FEATURE_COUNT, "spark": CONF},
        checks={"against NumPy's SVD": errors},
    )


def ratios(rounds: Rounds, sizes: list[int]) -> dict[str, Ratio]:
    """Return MLlib's time over ours: from Parquet to the model, and for its fit of vectors that are cached already."""
    return {
        name: {str(rows): rounds.ratio((f"mllib, {rows:,} rows", quantity), (f"ours, {rows:,} rows", WHOLE)) for rows in sizes}
        for name, quantity in (("vs_mllib", WHOLE), ("vs_mllib_cached", FIT))
    }


if __name__ == "__main__":
    parser = command_line.parser("pca", __doc__)
    parser.add_argument("--sizes", type=command_line.sizes, default=SIZES, metavar="N,N", help="rows (default: %(default)s)")
    sys.exit(command_line.main("pca", parser.parse_args(), measure))
