"""A drop of shards becomes the same features as the same photos as objects of their own, and rejects name its members."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pyarrow as pa
import pytest
from mypy_boto3_s3 import S3Client
from pyspark import SparkContext

pytest.importorskip("airflow", reason="the environment of Spark 4 has no Airflow to plan a run with")

from fruits.errors import ShardReplaced
from fruits.photo_reader import read_photo
from fruits.storage import Storage
from fruits_airflow.bucket import Bucket
from fruits_contract import columns, layout, shards
from fruits_contract.features_pipeline import FEATURIZE
from local.client.pack import pack
from local.client.upload import upload_drop
from release.extractor import Extractor
from tests.fixtures.packed_drop import tar_of
from tests.fixtures.photo_bytes import encode, noise
from tests.fixtures.published_run import read_rows
from tests.spark_apps.planned_drop import DROP, Deployment

pytestmark = pytest.mark.slow

VARIETIES, PER_VARIETY = 4, 12


@pytest.fixture
def deployment(s3: S3Client, bucket: str, context: SparkContext, extractor: Extractor) -> Deployment:
    return Deployment.of(s3, Bucket(bucket, session=boto3.Session(), client=s3), context, extractor)


@pytest.fixture
def photos(reference_photos: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder with a few real photos per variety, one empty and one that is no photo."""
    for variety in sorted(path for path in reference_photos.iterdir() if path.is_dir())[:VARIETIES]:
        folder = tmp_path / "photos" / variety.name
        folder.mkdir(parents=True)
        for photo in sorted(variety.glob("*.jpg"))[:PER_VARIETY]:
            (folder / photo.name).symlink_to(photo)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_bytes(b"hello")
    yield tmp_path / "photos"


def featurized(deployment: Deployment, run: str) -> tuple[dict[str, tuple[str, bytes]], dict[str, tuple[str, str]]]:
    """Plan and featurize; return ETag and bytes of the features, and ETag and reason of the rejects, by name."""
    params = deployment.plan(run)
    deployment.run(params, [FEATURIZE])
    rows = deployment.rows(params, layout.FEATURES_TABLE)
    rejects = deployment.rows(params, layout.REJECTS_TABLE)
    features = {row["path"]: (row["etag"], np.array(row["features"], np.float32).tobytes()) for row in rows}
    return features, {row["path"]: (row["etag"], row["reason"]) for row in rejects}


def test_shards_give_the_same_features_and_rejects_as_objects(
    deployment: Deployment, s3: S3Client, photos: Path, tmp_path: Path
) -> None:
    upload_drop(photos, bucket=deployment.bucket.name, drop=DROP)
    objects = featurized(deployment, "objects")
    assert len(objects[0]) == VARIETIES * PER_VARIETY and len(objects[1]) == 2

    for item in list(deployment.bucket.objects(layout.raw_prefix(DROP))):
        s3.delete_object(Bucket=deployment.bucket.name, Key=item.key)
    by_name = {f"{path.parent.name}/{path.name}": path for path in photos.glob("*/*.jpg")}
    for shard in pack(by_name, folder=tmp_path, first_number=0, shard_bytes=100_000):
        deployment.put(shard.name + shards.SUFFIX, shard.file.read_bytes())
    assert len(list(tmp_path.glob("*.tar"))) > 1
    assert featurized(deployment, "shards") == objects


def test_the_rejects_of_a_shard_are_its_members_and_the_damage(deployment: Deployment) -> None:
    good = encode(noise())
    whole = tar_of(
        {"Apple/good.jpg": good, "Apple/text.jpg": b"hello", "Apple/../x.jpg": good, "Apple/2.jpg": good, "Apple/3.jpg": good}
    )
    deployment.put("a.tar", whole)
    deployment.put("b.tar", tar_of({"Cherry/1.jpg": good, "Cherry/2.jpg": good})[: len(good) + 1500])
    deployment.put("c.tar", b"hello")
    params = deployment.plan("r1")
    # The indexed bytes of Apple/2.jpg are others now, by an index that lies.
    key = layout.batch(params.run)
    schema = columns.arrow_schema(columns.BATCH)
    rows = [row | ({"etag": "0" * 32} if row["path"].endswith("/2.jpg") else {}) for row in read_rows(deployment.bucket, key)]

    Storage(deployment.bucket.name).write_parquet(key, pa.Table.from_pylist(rows, schema=schema).to_batches(), schema)

    deployment.run(params, [FEATURIZE])
    assert {row["path"] for row in deployment.rows(params, layout.FEATURES_TABLE)} == {
        "Apple/good.jpg",
        "Apple/3.jpg",
        "Cherry/1.jpg",
    }
    assert {row["path"]: row["reason"] for row in deployment.rows(params, layout.REJECTS_TABLE)} == {
        "Apple/text.jpg": "not_an_image",
        "Apple/../x.jpg": "unreadable_key",
        "Apple/2.jpg": "wrong_digest",
        "b.tar": "damaged_shard",
        "c.tar": "damaged_shard",
    }


def test_a_shard_that_was_replaced_after_planning_stops_the_stage(deployment: Deployment) -> None:
    deployment.put("a.tar", tar_of({"Apple/1.jpg": b"before"}))
    params = deployment.plan("r1")
    (row,) = read_rows(deployment.bucket, layout.batch(params.run))
    assert row["etag"] == hashlib.md5(b"before").hexdigest()
    deployment.put("a.tar", tar_of({"Apple/1.jpg": b"after!"}))
    with pytest.raises(ShardReplaced, match=r"a\.tar was replaced after the batch was planned; run the drop again"):
        read_photo(Storage(deployment.bucket.name).store, row)
