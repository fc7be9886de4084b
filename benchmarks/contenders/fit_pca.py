"""MLlib's PCA and ours in turns, in one Spark session, so that its start is in neither; run by spark-submit.

Both begin with Parquet in the bucket and end with the fitted model on the driver.
"""

import io
import json
import sys
import time

import numpy as np
import obstore
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from fruits.feature_files import FeatureFile
from fruits.pca import Pca, fit
from fruits.pca_jobs import moments_of
from fruits.storage import Storage
from fruits_contract import layout

MLLIB_COMPONENTS = 41  # given, as in the notebook; ours finds its number
VARIANCE = 0.70
EXTRACTOR = "0" * 64  # what the features say they were made with


def ours(spark: SparkSession, storage: Storage, folder: str) -> tuple[dict[str, float], Pca]:
    """Fit ours: one pass for the moments, merged in a tree, and an eigendecomposition."""
    began = time.monotonic()
    files = [FeatureFile(item["path"]) for page in obstore.list(storage.store, prefix=folder) for item in page]
    moments = moments_of(spark.sparkContext, files, bucket=storage.bucket, extractor=EXTRACTOR)
    read = time.monotonic()
    pca = fit(moments, variance=VARIANCE)
    ended = time.monotonic()
    return {"seconds": ended - began, "moments_s": read - began, "eigen_s": ended - read}, pca


def mllib(spark: SparkSession, storage: Storage, folder: str) -> tuple[dict[str, float], np.ndarray]:
    """Fit MLlib's on vectors that are cached first, as the notebook does; how long the fit alone takes is told apart."""
    began = time.monotonic()
    rows = spark.read.parquet(layout.uri(storage.bucket, folder))
    vectors = rows.select(array_to_vector(F.col("features")).alias("vector")).cache()
    vectors.count()
    cached = time.monotonic()
    model = PCA(k=MLLIB_COMPONENTS, inputCol="vector", outputCol="pca").fit(vectors)
    ended = time.monotonic()
    vectors.unpersist(blocking=True)
    return {"seconds": ended - began, "cache_s": cached - began, "fit_s": ended - cached}, model.explainedVariance.toArray()


def main(bucket: str, repetitions: int, *folders: str) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return the samples by folder, contender and figure; the last fits are put beside the features, as `fits.npz`."""
    spark = SparkSession.builder.appName("fit_pca benchmark").getOrCreate()
    storage = Storage(bucket)
    samples: dict[str, dict[str, dict[str, list[float]]]] = {}
    for folder in folders:
        of = samples.setdefault(folder, {"ours": {}, "mllib": {}})
        for _ in range(repetitions):
            measured, pca = ours(spark, storage, folder)
            theirs, explained = mllib(spark, storage, folder)
            for name, figures in (("ours", measured), ("mllib", theirs)):
                for what, value in figures.items():
                    of[name].setdefault(what, []).append(value)
            print(f"{folder}: ours {measured['seconds']:.2f} s, MLlib {theirs['seconds']:.2f} s", file=sys.stderr, flush=True)
        content = io.BytesIO()
        np.savez(content, components=pca.components, spectrum=pca.spectrum, mean=pca.mean, mllib=explained)
        storage.write(f"{folder.replace('features/', 'fits/', 1).rstrip('/')}.npz", content.getvalue())
    spark.stop()
    return samples


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])))
