"""Objects are read, written on conditions and listed, whatever characters are in their keys."""

import io
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket, ObjectInfo
from tests.fixtures.published_run import add_photos

pytestmark = pytest.mark.slow


def test_what_is_written_is_read_and_replaced(bucket: Bucket) -> None:
    bucket.write("runs/r1/params.json", b"one")
    assert bucket.read("runs/r1/params.json") == b"one"
    bucket.write("runs/r1/params.json", b"")
    assert bucket.read("runs/r1/params.json") == b""


def test_an_object_that_does_not_exist_is_not_found(bucket: Bucket) -> None:
    with pytest.raises(FileNotFoundError):
        bucket.read("nothing")
    with pytest.raises(FileNotFoundError):
        bucket.read_with_etag("nothing")


def test_json_is_read_where_there_is_any(bucket: Bucket) -> None:
    bucket.write("list.json", b"[1]")
    assert bucket.read_json("list.json") == [1]
    assert bucket.read_json("nothing.json") is None
    bucket.write("broken.json", b"{")
    with pytest.raises(ValueError, match="Expecting"):
        bucket.read_json("broken.json")


def test_a_bucket_that_does_not_exist_is_an_error(bucket: Bucket, s3: S3Client) -> None:
    s3.delete_bucket(Bucket=bucket.name)
    with pytest.raises(s3.exceptions.NoSuchBucket):
        list(bucket.objects("raw/"))


def test_an_object_is_created_only_where_there_is_none(bucket: Bucket) -> None:
    assert bucket.write_if_unchanged("key", b"one", etag="")
    assert not bucket.write_if_unchanged("key", b"two", etag="")
    assert bucket.read("key") == b"one"


def test_an_object_is_replaced_only_while_it_has_its_etag(bucket: Bucket) -> None:
    bucket.write("key", b"one")
    _, etag = bucket.read_with_etag("key")
    assert bucket.write_if_unchanged("key", b"two", etag=etag)
    assert not bucket.write_if_unchanged("key", b"three", etag=etag)
    assert bucket.read("key") == b"two"


def test_an_object_that_was_deleted_meanwhile_is_not_replaced(bucket: Bucket, s3: S3Client) -> None:
    bucket.write("key", b"one")
    _, etag = bucket.read_with_etag("key")
    s3.delete_object(Bucket=bucket.name, Key="key")
    assert not bucket.write_if_unchanged("key", b"two", etag=etag)
    with pytest.raises(FileNotFoundError):
        bucket.read("key")


def test_objects_are_listed_by_prefix_with_etag_and_size(bucket: Bucket) -> None:
    for key in ("raw/first/b.jpg", "raw/first/a.jpg", "raw/firsts/c.jpg"):
        bucket.write(key, b"photo")
    _, etag = bucket.read_with_etag("raw/first/a.jpg")
    etag = etag.strip('"')
    assert list(bucket.objects("raw/first/")) == [
        ObjectInfo("raw/first/a.jpg", etag, 5),
        ObjectInfo("raw/first/b.jpg", etag, 5),
    ]
    assert list(bucket.objects("raw/none/")) == []


def test_more_objects_than_one_answer_holds_are_listed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"raw/first/{number}.jpg" for number in range(5)]
    for key in keys:
        bucket.write(key, b"photo")
    paginate = bucket._client.get_paginator("list_objects_v2").paginate

    class SmallPages:
        paginate = staticmethod(lambda **request: paginate(**request, PaginationConfig={"PageSize": 2}))

    monkeypatch.setattr(bucket._client, "get_paginator", lambda operation: SmallPages)
    assert [item.key for item in bucket.objects("raw/first/")] == keys


@pytest.mark.parametrize("name", ["control\x01", "new\nline", "tab\t", "percent%20", "plus+blank ", "Crème & Co", "it's", "a=b"])
def test_odd_keys_are_listed_as_they_are(bucket: Bucket, s3: S3Client, name: str) -> None:
    s3.put_object(Bucket=bucket.name, Key=f"raw/first/{name}.jpg", Body=b"photo")
    assert [item.key for item in bucket.objects("raw/first/")] == [f"raw/first/{name}.jpg"]


def test_folders_are_those_directly_below_a_prefix(bucket: Bucket) -> None:
    for key in ("code/v2/release.json", "code/v1/release.json", "code/v1/wheels/a.whl", "code/notes.txt"):
        bucket.write(key, b"x")
    assert bucket.folders("code/") == ["v1", "v2"]
    assert bucket.folders("raw/") == []


def test_folders_are_listed_whatever_their_names(bucket: Bucket, s3: S3Client) -> None:
    add_photos(s3, bucket, "new\nline", ["Apple/0.jpg"])
    assert bucket.folders("raw/") == ["new\nline"]


def test_an_empty_segment_of_a_key_is_no_folder(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [{"CommonPrefixes": [{"Prefix": "raw//"}, {"Prefix": "raw/first/"}]}]  # SeaweedFS has no such keys, S3 has
    monkeypatch.setattr(bucket._client, "get_paginator", lambda _: Mock(paginate=Mock(return_value=pages)))
    assert bucket.folders("raw/") == ["first"]


def test_an_object_that_comes_later_is_waited_for(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: bucket.write("logs/stderr.gz", b"log"))
    assert bucket.wait_and_read("logs/stderr.gz", timeout_s=60) == b"log"


def test_an_object_that_does_not_come_is_given_up_with_the_reason(bucket: Bucket) -> None:
    with pytest.raises(FileNotFoundError):
        bucket.wait_and_read("logs/stderr.gz", timeout_s=0)


def test_another_error_is_not_waited_out(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(ValueError, match="illegal character"):
        bucket.wait_and_read("a\nb", timeout_s=60)


def test_parts_of_an_object_are_read(bucket: Bucket) -> None:
    content = io.BytesIO()
    pq.write_table(pa.table({"path": ["a", "b"], "features": [[0.5], [1.5]]}), content)
    bucket.write("table.parquet", content.getvalue())
    with bucket.open("table.parquet") as source:
        assert pq.ParquetFile(source).read(columns=["path"]).to_pydict() == {"path": ["a", "b"]}


def test_the_address_is_the_one_spark_reads(bucket: Bucket) -> None:
    assert bucket.uri("raw/first/_READY") == f"s3://{bucket.name}/raw/first/_READY"


def test_erasing_an_object_leaves_no_version_of_it(versioned_bucket: Bucket, s3: S3Client) -> None:
    for key in ("raw/first/a.jpg", "raw/first/a.jpg", "raw/first/a.jpg.txt"):
        versioned_bucket.write(key, b"photo")
    s3.delete_object(Bucket=versioned_bucket.name, Key="raw/first/a.jpg")
    versioned_bucket.erase("raw/first/a.jpg")
    assert [version.key for version in versioned_bucket.versions("raw/first/")] == ["raw/first/a.jpg.txt"]
    assert versioned_bucket.erase("raw/first/a.jpg") == 0


def test_versions_say_which_one_is_read(versioned_bucket: Bucket, s3: S3Client) -> None:
    for content in (b"one", b"two"):
        versioned_bucket.write("raw/first/a.jpg", content)
    versions = list(versioned_bucket.versions("raw/"))
    assert [version.is_current for version in versions if version.is_current] == [True]
    s3.delete_object(Bucket=versioned_bucket.name, Key="raw/first/a.jpg")
    assert not [version for version in versioned_bucket.versions("raw/") if version.is_current and not version.is_marker]


def test_an_incomplete_upload_is_listed_and_aborted(bucket: Bucket, s3: S3Client) -> None:
    s3.create_multipart_upload(Bucket=bucket.name, Key="raw/first/a.jpg")
    (upload,) = bucket.incomplete_uploads()
    assert upload.key == "raw/first/a.jpg"
    for _ in range(2):
        bucket.abort_upload(upload)
    assert list(bucket.incomplete_uploads()) == []
