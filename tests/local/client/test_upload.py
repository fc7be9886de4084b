"""A folder becomes a drop that is announced when it is complete, and only then."""

import os
from pathlib import Path

import obstore
import pytest
from mypy_boto3_s3 import S3Client

from fruits_contract import layout
from local.client import upload
from local.client.upload import CannotUpload, upload_drop


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two varieties of two photos each, and files that are no photos."""
    root = tmp_path / "fruits"
    for variety in ("Apple Red 1", "Crème & Co"):
        (root / variety / "deeper").mkdir(parents=True)
        for frame in range(2):
            (root / variety / f"{frame}_100.JPG").write_bytes(f"{variety}{frame}".encode())
    (root / "Apple Red 1" / "deeper" / "3_100.jpg").write_bytes(b"x")
    (root / "Apple Red 1" / ".hidden.jpg").write_bytes(b"x")
    (root / "ATTRIBUTION.md").write_text("x")
    return root


def _keys(s3: S3Client, bucket: str) -> dict[str, bytes]:
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def test_uploads_photos_and_announces_them(folder: Path, s3: S3Client, bucket: str) -> None:
    seen: list[tuple[int, int]] = []
    summary = upload_drop(folder, bucket=bucket, drop="first", on_progress=lambda done, total: seen.append((done, total)))
    assert summary == upload.UploadSummary("first", varieties=2, photos=4, uploaded=4, unchanged=0, ignored=3)
    assert _keys(s3, bucket) == {
        "raw/first/_READY": b"",
        "raw/first/Apple Red 1/0_100.JPG": b"Apple Red 10",
        "raw/first/Apple Red 1/1_100.JPG": b"Apple Red 11",
        "raw/first/Crème & Co/0_100.JPG": "Crème & Co0".encode(),
        "raw/first/Crème & Co/1_100.JPG": "Crème & Co1".encode(),
    }
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_second_upload_sends_only_what_changed(folder: Path, s3: S3Client, bucket: str) -> None:
    upload_drop(folder, bucket=bucket, drop="first")
    before = s3.head_object(Bucket=bucket, Key=layout.ready("first"))["LastModified"]
    assert upload_drop(folder, bucket=bucket, drop="first").unchanged == 4
    assert s3.head_object(Bucket=bucket, Key=layout.ready("first"))["LastModified"] == before

    (folder / "Apple Red 1" / "0_100.JPG").write_bytes(b"another")
    summary = upload_drop(folder, bucket=bucket, drop="first")
    assert (summary.uploaded, summary.unchanged) == (1, 3)
    assert _keys(s3, bucket)["raw/first/Apple Red 1/0_100.JPG"] == b"another"


def test_a_photo_is_known_by_its_digest_where_its_etag_is_none(
    folder: Path, s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with SSE-KMS on AWS, whose ETags neither of the S3 servers here has."""
    upload_drop(folder, bucket=bucket, drop="first")
    list_drop = upload.list_drop
    monkeypatch.setattr(upload, "list_drop", lambda bucket, drop: dict.fromkeys(list_drop(bucket, drop), '"of KMS"'))
    assert upload_drop(folder, bucket=bucket, drop="first").unchanged == 4

    (folder / "Apple Red 1" / "0_100.JPG").write_bytes(b"another")
    s3.put_object(Bucket=bucket, Key="raw/first/Apple Red 1/1_100.JPG", Body=b"Apple Red 11")  # by another tool, without a digest
    summary = upload_drop(folder, bucket=bucket, drop="first")
    assert (summary.uploaded, summary.unchanged) == (2, 2)


def test_half_a_drop_is_not_announced(folder: Path, s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_drop(folder, bucket=bucket, drop="first")
    for path in folder.glob("*/*.JPG"):
        path.write_bytes(b"changed" + path.name.encode())
    put = obstore.put

    def failing(store: obstore.store.S3Store, key: str, content: bytes, **options: object) -> object:
        if key.endswith("Co/1_100.JPG"):
            raise OSError("injected")
        return put(store, key, content, **options)

    monkeypatch.setattr(obstore, "put", failing)
    with pytest.raises(OSError, match="injected"):
        upload_drop(folder, bucket=bucket, drop="first")
    assert layout.ready("first") not in _keys(s3, bucket)

    monkeypatch.setattr(obstore, "put", put)
    upload_drop(folder, bucket=bucket, drop="first")
    assert layout.ready("first") in _keys(s3, bucket)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ([], "holds no folders"),
        (["1.jpg"], "is a variety itself: give"),
        (["Apple/readme.txt"], "hold no photos"),
        (["Training/Apple/1.jpg"], "one folder deeper: try .*Training"),
        (["Bad\tname/1.jpg"], r"rename or remove:\n  '.*/Bad\\tname'$"),
        (["Bad\\name/1.jpg"], r"rename or remove:\n  '.*/Bad\\\\name'$"),
        ([os.fsdecode(b"Bad\xff/1.jpg")], r"rename or remove:\n  '.*/Bad\\udcff'$"),
        (["a\n/1.jpg", "b/2\t.jpg", "b/2.jpg"], r"remove:\n  '.*/a\\n'\n  '.*/b/2\\t.jpg'$"),
        ([f"b/{number}\t.jpg" for number in range(25)], r"(?s)(.*/b/\d+\\t.jpg'\n){20}  and 5 more$"),
    ],
)
def test_folders_that_cannot_be_drops_say_why(tmp_path: Path, make: list[str], message: str) -> None:
    for name in make:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with pytest.raises(CannotUpload, match=message):
        upload.find_photos(tmp_path, drop="first")


def test_missing_folder_and_bad_drop_are_named(tmp_path: Path) -> None:
    with pytest.raises(CannotUpload, match="missing is not a folder"):
        upload_drop(tmp_path / "missing", bucket="any", drop="first")
    with pytest.raises(layout.InvalidName, match="drop's name 'a/b'"):
        upload_drop(tmp_path, bucket="any", drop="a/b")


def test_the_longest_names_can_be_keys(tmp_path: Path, s3: S3Client, bucket: str) -> None:
    photo = tmp_path / ("x" * 200) / f"{'é' * 120}.jpg"
    photo.parent.mkdir()
    photo.write_bytes(b"x")
    assert upload_drop(tmp_path, bucket=bucket, drop="d" * 128).uploaded == 1


def test_keys_that_others_uploaded_may_hold_control_characters(folder: Path, s3: S3Client, bucket: str) -> None:
    odd = "raw/first/Bad\tname/1\n\x01.jpg"
    s3.put_object(Bucket=bucket, Key=odd, Body=b"x")
    assert upload_drop(folder, bucket=bucket, drop="first").uploaded == 4
    assert odd in upload.list_drop(bucket, "first")
