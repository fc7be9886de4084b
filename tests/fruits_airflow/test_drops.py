"""A drop of shards is planned as one of objects: the same paths, nothing new where nothing changed, the later photo counts."""

import json

import pyarrow as pa
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.drops import gets_of, photos_of
from fruits_airflow.settings import Settings
from fruits_contract import columns, layout, shards
from fruits_contract.shard_index import ShardIndex
from tests.fixtures.contributed import id_of
from tests.fixtures.packed_drop import put_shard, tar_of
from tests.fixtures.published_run import NOTHING, add_photos, plan, published, read_rows, run_drop

pytestmark = pytest.mark.slow

PHOTOS = {"Apple/0.jpg": b"a0", "Apple/1.jpg": b"a1", "Cherry/0.jpg": b"c0"}


def names(photos: pa.Table, drop: str = "first") -> list[str]:
    return [path.removeprefix(layout.raw_prefix(drop)) for path in photos["path"].to_pylist()]


def batch_names(bucket: Bucket, run: str) -> list[str]:
    return [row["path"].removeprefix(layout.raw_prefix("first")) for row in read_rows(bucket, layout.batch(run))]


def put_tar(bucket: Bucket, name: str, content: bytes) -> None:
    """Put a shard without an index."""
    bucket.write(shards.shard("first", name), content)


def test_a_photo_of_a_shard_has_the_path_of_an_object_and_its_md5(bucket: Bucket, s3: S3Client) -> None:
    odd = {"loose.jpg": b"l", "a/b/Apple/deep.jpg": b"d", "a//x.jpg": b"e", "/abs.jpg": b"f", "Apple/../up.jpg": b"g"}
    contents = {**PHOTOS, **odd, "Apple/empty.jpg": b""}
    put_shard(bucket, "first", "a", contents)
    photos = photos_of(bucket, "first")
    assert photos.schema == columns.arrow_schema(columns.BATCH)
    etag = s3.head_object(Bucket=bucket.name, Key=shards.shard("first", "a"))["ETag"].strip('"')
    shard = tar_of(contents)
    assert names(photos) == list(contents)
    for row, content in zip(photos.to_pylist(), contents.values(), strict=True):
        assert (row["etag"], row["size_bytes"], row["contributor"]) == (shards.md5_of(content), len(content), "")
        assert row["label"] == layout.variety_of(row["path"])
        assert (row["shard"], row["shard_etag"]) == (shards.shard("first", "a"), etag)
        assert shard[row["offset"] : row["offset"] + row["size_bytes"]] == content


def test_nothing_is_new_when_the_same_photos_are_packed_or_packed_otherwise(
    bucket: Bucket, deployment: Settings, s3: S3Client
) -> None:
    for name, content in PHOTOS.items():
        add_photos(s3, bucket, "first", [name], content=content)
    run_drop(bucket, deployment, "r1", "first", unreadable=["Cherry/0.jpg"])
    for name in PHOTOS:
        s3.delete_object(Bucket=bucket.name, Key=layout.raw_prefix("first") + name)
    put_shard(bucket, "first", "a", PHOTOS)
    with pytest.raises(AirflowSkipException, match="nothing new in drop first"):
        plan(bucket, deployment, "r2", "first")
    s3.delete_object(Bucket=bucket.name, Key=shards.shard("first", "a"))
    for number, (name, content) in enumerate(PHOTOS.items()):
        put_shard(bucket, "first", f"b{number}", {name: content})
    with pytest.raises(AirflowSkipException, match="nothing new in drop first"):
        plan(bucket, deployment, "r3", "first")


def test_a_release_that_cannot_read_shards_is_refused(bucket: Bucket, deployment: Settings) -> None:
    put_shard(bucket, "first", "s1", {"Apple/1.jpg": b"1"})
    card = json.loads(bucket.read(layout.release_card(deployment.release)))
    del card["shards"]
    bucket.write(layout.release_card(deployment.release), json.dumps(card).encode())
    with pytest.raises(AirflowFailException, match="photos in shards, which release v1 cannot read"):
        plan(bucket, deployment, "r1", "first")


def test_a_shard_takes_one_get_per_range_and_an_object_one(bucket: Bucket, s3: S3Client) -> None:
    put_shard(bucket, "first", "s1", {"Apple/1.jpg": b"1", "Apple/2.jpg": b"2"})
    add_photos(s3, bucket, "first", ["Cherry/1.jpg", "Cherry/2.jpg"])
    assert gets_of(photos_of(bucket, "first")) == 2 + 1 + 1


def test_photos_that_a_further_shard_replaces_or_adds_are_new(bucket: Bucket, deployment: Settings) -> None:
    put_shard(bucket, "first", "a", PHOTOS)
    run_drop(bucket, deployment, "r1", "first")
    put_shard(bucket, "first", "b", {"Apple/1.jpg": b"another", "Apple/2.jpg": b"a2", "Cherry/0.jpg": b"c0"})
    run_drop(bucket, deployment, "r2", "first")
    assert batch_names(bucket, "r2") == ["Apple/1.jpg", "Apple/2.jpg"]
    assert published(bucket)["features"] == [
        f"first/{name}" for name in ("Apple/0.jpg", "Apple/1.jpg", "Apple/2.jpg", "Cherry/0.jpg")
    ]


def test_an_object_counts_more_than_shards_and_the_last_shard_more_than_others(bucket: Bucket, s3: S3Client) -> None:
    put_shard(bucket, "first", "a", {"Apple/0.jpg": b"1", "Apple/1.jpg": b"1", "Apple/2.jpg": b"1"})
    put_shard(bucket, "first", "b", {"Apple/1.jpg": b"2", "Apple/2.jpg": b"2"})
    add_photos(s3, bucket, "first", ["Apple/2.jpg"], content=b"3")
    photos = photos_of(bucket, "first")
    found = sorted(zip(names(photos), photos["etag"].to_pylist(), strict=True))
    assert found == [(f"Apple/{number}.jpg", shards.md5_of(str(number + 1).encode())) for number in range(3)]


def test_a_shard_without_an_index_is_read_once(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    put_tar(bucket, "a", tar_of(PHOTOS))
    first = photos_of(bucket, "first")
    assert names(first) == list(PHOTOS)
    monkeypatch.setattr(bucket, "read_range", None)
    assert photos_of(bucket, "first").equals(first)


@pytest.mark.parametrize("index", [b"hello", ShardIndex.of([], etag="other", size_bytes=10240).to_bytes()])
def test_an_index_that_is_not_of_its_shard_is_made_again(bucket: Bucket, index: bytes, caplog: pytest.LogCaptureFixture) -> None:
    put_tar(bucket, "a", tar_of(PHOTOS))
    bucket.write(shards.shard_index("first", "a"), index)
    assert names(photos_of(bucket, "first")) == list(PHOTOS)
    assert "raw/first/a.index.parquet" in caplog.text and "rebuilding it" in caplog.text


def test_an_index_without_a_shard_has_no_photos(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    put_shard(bucket, "first", "a", PHOTOS)
    s3.delete_object(Bucket=bucket.name, Key=shards.shard("first", "a"))
    with pytest.raises(AirflowSkipException, match="nothing new in drop first"):
        plan(bucket, deployment, "r1", "first")
    assert published(bucket) == NOTHING


def test_a_damaged_shard_is_one_reject_until_it_is_replaced(
    bucket: Bucket, deployment: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    put_tar(bucket, "a", tar_of(PHOTOS)[:2100])
    run_drop(bucket, deployment, "r1", "first", unreadable=["a.tar"])
    assert batch_names(bucket, "r1") == ["Apple/0.jpg", "Apple/1.jpg", "a.tar"]
    assert "Shard raw/first/a.tar is damaged (no tar file, or damaged" in caplog.text or "is damaged" in caplog.text
    with pytest.raises(AirflowSkipException, match="nothing new in drop first"):
        plan(bucket, deployment, "r2", "first")
    put_tar(bucket, "a", tar_of(PHOTOS))
    plan(bucket, deployment, "r3", "first")
    assert batch_names(bucket, "r3") == ["Cherry/0.jpg"]


def test_contributed_photos_in_a_shard_are_left_out(
    bucket: Bucket, deployment: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    put_shard(bucket, "first", "a", {**PHOTOS, f"Apple/contributed-{id_of(1)}.jpg": b"x"})
    assert names(photos_of(bucket, "first")) == list(PHOTOS)
    assert "Shard raw/first/a.tar: 1 contributed photos are left out" in caplog.text
    assert id_of(1) not in caplog.text


def test_a_drop_without_anything_has_no_photos(bucket: Bucket) -> None:
    assert photos_of(bucket, "first").equals(columns.arrow_schema(columns.BATCH).empty_table())
