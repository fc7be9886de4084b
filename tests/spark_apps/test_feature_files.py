"""A fit reads each retained photo once: the newest features, of this extractor only, whatever the files look like."""

import contextlib
import io

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import SparkContext

from fruits.errors import TooFewImages
from fruits.feature_files import FeatureFile, read_features, vectors_of
from fruits.pca import Moments
from fruits.pca_jobs import moments_of
from fruits.storage import CHUNK_ROWS, Storage

pytestmark = [pytest.mark.slow, pytest.mark.spark4]
THIS, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def bucket(storage: Storage) -> Storage:
    s3 = boto3.Session().client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket="files")
    return Storage("files")


def vectors(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 6, (rows, 1280)).astype(np.float32)


def put(bucket: Storage, key: str, paths: list[str], features: np.ndarray, *, extractor: str = THIS, group: int = 1000) -> None:
    table = pa.table(
        {
            "path": paths,
            "label": ["Apple"] * len(paths),
            "extractor": [extractor] * len(paths),
            "features": pa.array(list(features), type=pa.list_(pa.float32())),
        }
    )
    content = io.BytesIO()
    pq.write_table(table, content, row_group_size=group)
    bucket.write(key, content.getvalue())


def read(file: FeatureFile) -> np.ndarray:
    parts = [vectors_of(rows) for rows in read_features(file, bucket="files", extractor=THIS)]
    assert all(0 < len(part) <= CHUNK_ROWS for part in parts)
    return np.concatenate([np.empty((0, 1280), np.float32), *parts])


def test_rows_of_the_extractor_come_in_order_and_those_of_another_do_not(bucket: Storage) -> None:
    rows = vectors(2500, seed=1)
    put(bucket, "one.parquet", [f"p{n}" for n in range(2500)], rows, group=900)
    put(bucket, "other.parquet", ["q"], vectors(1, seed=2), extractor=OTHER)
    assert (read(FeatureFile("one.parquet")) == rows).all()
    assert len(read(FeatureFile("other.parquet"))) == 0


def test_rows_whose_photo_was_featurized_or_rejected_anew_do_not_count(bucket: Storage) -> None:
    rows = vectors(5, seed=3)
    put(bucket, "old.parquet", list("abcde"), rows)
    put(bucket, "new.parquet", ["b", "z"], vectors(2, seed=4))
    put(bucket, "rejects.parquet", ["d"], vectors(1, seed=5))
    kept = read(FeatureFile("old.parquet", superseded_by=("new.parquet", "rejects.parquet")))
    assert (kept == rows[[0, 2, 4]]).all()


def test_files_that_a_delta_commit_rewrote_are_read_as_well(bucket: Storage, s3_environment: dict[str, str]) -> None:
    deltalake = pytest.importorskip("deltalake", reason="the environment of Spark 4 has no deltalake")
    rows = vectors(3, seed=8)
    data = {
        "path": list("abc"),
        "label": list("xyz"),
        "extractor": [THIS] * 3,
        "features": pa.array(list(rows), type=pa.list_(pa.float32())),
    }
    options = s3_environment | {"aws_conditional_put": "etag"}
    deltalake.write_deltalake("s3://files/rewritten", pa.table(data), storage_options=options)
    table = deltalake.DeltaTable("s3://files/rewritten", storage_options=options)
    table.delete("path = 'b'")
    (key,) = [uri.removeprefix("s3://files/") for uri in table.file_uris()]
    assert (read(FeatureFile(key)) == rows[[0, 2]]).all()
    assert (read(FeatureFile(key, superseded_by=(key,)))).size == 0


def test_the_moments_of_many_files_are_those_of_all_rows(context: SparkContext, bucket: Storage) -> None:
    rows = vectors(700, seed=6)
    files = []
    for number, part in enumerate(np.array_split(rows, 7)):
        put(bucket, f"part{number}.parquet", [f"{number}-{n}" for n in range(len(part))], part, group=30)
        files.append(FeatureFile(f"part{number}.parquet"))
    found = moments_of(context, files, bucket="files", extractor=THIS)
    expected = Moments.of(rows)
    assert found.count == 700
    assert np.abs(found.mean - expected.mean).max() <= 1e-12
    assert np.abs(found.m2 - expected.m2).max() <= 1e-9


def test_no_row_of_the_extractor_is_an_error_that_says_so(context: SparkContext, bucket: Storage) -> None:
    put(bucket, "other.parquet", ["q"], vectors(1, seed=7), extractor=OTHER)
    for files in ([], [FeatureFile("other.parquet")]):
        with pytest.raises(TooFewImages, match="not one photo with features"):
            moments_of(context, files, bucket="files", extractor=THIS)
