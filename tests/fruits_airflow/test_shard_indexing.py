"""The index of a tar file has its photos and nothing else, whatever the file is."""

import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fruits_airflow import shard_indexing
from fruits_airflow.bucket import Bucket, ObjectInfo
from fruits_airflow.shard_indexing import index_shard
from fruits_contract import shards
from fruits_contract.shard_index import ShardIndex
from tests.fixtures.packed_drop import index_of, tar_of

CONTENTS = {f"Apple/{number}.jpg": bytes([number]) * number * 100 for number in range(8)}
KEY = "raw/first/a.tar"


class InMemory:
    """A bucket with one object."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.read: list[int] = []

    def read_range(self, key: str, *, start: int, stop: int, etag: str) -> memoryview:
        assert (key, etag) == (KEY, "e") and 0 <= start < stop <= len(self.content)
        self.read.append(stop - start)
        return memoryview(self.content)[start:stop]


def indexed(content: bytes) -> ShardIndex:
    return index_shard(InMemory(content), ObjectInfo(KEY, "e", len(content)))  # type: ignore[arg-type]


def names(index: ShardIndex) -> list[str]:
    return list(index.members["member"].to_pylist())


def tar_with(*members: tarfile.TarInfo, content: bytes = b"photo") -> bytes:
    """Return a tar file with members as they are, and one good photo last."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
        last = tarfile.TarInfo("Apple/last.jpg")
        last.size = len(content)
        tar.addfile(last, io.BytesIO(content))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_photo_has_its_place_size_and_md5(format: int) -> None:
    long_name = f"{'Crème ' * 30}/{'x' * 120}.jpg"
    contents = CONTENTS if format == tarfile.USTAR_FORMAT else {**CONTENTS, long_name: b"long"}
    content = tar_of(contents, format=format)
    index = indexed(content)
    assert index.members.equals(index_of(content).members)
    assert names(index) == list(contents)
    assert (index.damage, index.etag, index.size_bytes) == ("", "e", len(content))


@pytest.mark.slow
def test_a_shard_of_a_real_server_is_read_in_large_pieces(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "RANGE_BYTES", 4096)
    content = tar_of({f"Apple/{number}.jpg": bytes([number]) * 3000 for number in range(20)})
    bucket.write(KEY, content)
    (item,) = bucket.objects("raw/")
    assert index_shard(bucket, item).members.equals(index_of(content).members)
    with pytest.raises(OSError, match=r"a\.tar was replaced while it was read"):
        index_shard(bucket, item._replace(etag="0" * 32))


def test_it_is_read_once_and_in_large_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "RANGE_BYTES", 8192)
    content = tar_of({f"Apple/{number}.jpg": bytes([number]) * 1000 for number in range(100)})
    source = InMemory(content)
    index_shard(source, ObjectInfo(KEY, "e", len(content)))  # type: ignore[arg-type]
    assert sum(source.read) < 1.1 * len(content)
    assert len(source.read) < 1.2 * len(content) / 8192 + 2


@pytest.mark.parametrize(
    "odd",
    [
        member("Apple/link.jpg", tarfile.SYMTYPE, link="/etc/passwd"),
        member("Apple/hard.jpg", tarfile.LNKTYPE, link="Apple/last.jpg"),
        member("Apple/fifo", tarfile.FIFOTYPE),
        member("Apple/device", tarfile.CHRTYPE),
        member("Apple/disk", tarfile.BLKTYPE),
        member("Apple", tarfile.DIRTYPE),
    ],
    ids=lambda odd: odd.name,
)
def test_what_has_no_bytes_of_a_photo_is_left_out(odd: tarfile.TarInfo) -> None:
    index = indexed(tar_with(odd))
    assert (names(index), index.damage) == (["Apple/last.jpg"], "")


def test_a_sparse_file_is_left_out() -> None:
    sparse = member("Apple/sparse.jpg", tarfile.GNUTYPE_SPARSE)
    assert names(indexed(tar_with(sparse))) == ["Apple/last.jpg"]


@pytest.mark.parametrize("name", ["../../etc/x.jpg", "/etc/x.jpg", "Apple/../x.jpg", "loose.jpg", "Apple/\n.jpg", "a\\b/0.jpg"])
def test_a_hostile_name_is_only_a_name(name: str) -> None:
    # Nothing is extracted; featurize rejects the names that no key may have.
    assert names(indexed(tar_with(member(name, size=5)))) == [name, "Apple/last.jpg"]


def test_names_are_utf_8_and_without_the_folder_that_was_packed() -> None:
    assert names(indexed(tar_of({"./Apple/0.jpg": b"x", "Apple/\udcff.jpg": b"x"}))) == ["Apple/0.jpg", "Apple/\ufffd.jpg"]


def test_of_two_photos_with_one_name_the_later_counts() -> None:
    index = indexed(tar_of([("Apple/0.jpg", b"earlier"), ("Apple/1.jpg", b"x"), ("Apple/0.jpg", b"later")]))
    assert names(index) == ["Apple/1.jpg", "Apple/0.jpg"]
    assert index.members["md5"].to_pylist()[1] == shards.md5_of(b"later")


@pytest.mark.parametrize(
    ("make", "damage"),
    [
        (lambda: b"", "no tar file"),
        (lambda: b"hello" * 1000, "no tar file"),
        (lambda: tar_of(CONTENTS)[:1060], "in a photo that would end at"),
        (lambda: tar_of({"a/0.jpg": b"x"})[:1024], "no end-of-archive block"),
        (lambda: tar_of({"a/0.jpg": b"x"})[:1024] + b"\1" * 1024, "no end-of-archive block"),
        (lambda: member("a/huge.jpg", size=2**60).tobuf(tarfile.GNU_FORMAT), "in a photo that would end at"),
        (lambda: member("a", tarfile.XHDTYPE, size=2**40).tobuf(tarfile.GNU_FORMAT), "a header that declares"),
        (lambda: member("a", tarfile.GNUTYPE_LONGNAME, size=2**40).tobuf(tarfile.GNU_FORMAT), "a header that declares"),
        (lambda: member("a/0.jpg", size=-512).tobuf(tarfile.GNU_FORMAT) + bytes(1024), "points backwards"),
    ],
)
def test_a_file_that_is_no_whole_tar_is_damaged(make: Callable[[], bytes], damage: str) -> None:
    assert damage in indexed(make()).damage


def test_the_photos_before_the_damage_are_taken() -> None:
    content = tar_of(CONTENTS)
    whole = index_of(content)
    ends = [row["offset"] + row["size_bytes"] for row in whole.members.to_pylist()]
    index = indexed(content[: ends[5] + 700])
    assert names(index) == list(CONTENTS)[:6]
    assert index.damage


@settings(max_examples=200)
@given(st.data())
def test_no_bytes_stop_it(data: st.DataObject) -> None:
    content = bytearray(tar_of({"Apple/0.jpg": b"photo", f"{'x' * 150}/1.jpg": b"photo"}))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    index = indexed(bytes(content[:cut]))
    ShardIndex.from_bytes(index.to_bytes())
    for row in index.members.to_pylist():
        assert row["md5"] == shards.md5_of(bytes(content[row["offset"] : row["offset"] + row["size_bytes"]]))


def test_an_error_of_s3_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    source = InMemory(tar_of(CONTENTS))

    def refused(key: str, *, start: int, stop: int, etag: str) -> memoryview:
        raise OSError("S3 is gone")

    monkeypatch.setattr(source, "read_range", refused)
    with pytest.raises(OSError, match="S3 is gone"):
        index_shard(source, ObjectInfo(KEY, "e", 10240))  # type: ignore[arg-type]
    assert shard_indexing.LARGEST_HEADER < 2**21
