"""Members of a shard are read by few and large GETs, and come one by one, each with its own bytes or the reason."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from fruits import photo_reader, shard_reader
from fruits.errors import UnreadableImage
from fruits.photo_reader import read_ahead, read_group, read_photo
from fruits.shard_reader import GAP_BYTES, groups_of, span_of
from fruits_contract import shards
from tests.fixtures.packed_drop import index_of, single_photo, tar_of

SHARD = "raw/d/a.tar"


def rows_of(content: bytes, *, shard: str = SHARD, etag: str = "0") -> list[dict[str, Any]]:
    return [
        {"path": f"raw/d/{row['member']}", "etag": row["md5"], "size_bytes": row["size_bytes"], "offset": row["offset"]}
        | {"shard": shard, "shard_etag": etag, "label": "", "contributor": ""}
        for row in index_of(content).members.to_pylist()
    ]


@pytest.fixture
def gets(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The range of every GET; without If-Match, because an ETag of a store in memory has no quotes."""
    ranges: list[Any] = []
    get = obstore.get

    def counted(store: MemoryStore, key: str, options: dict[str, Any] | None = None) -> Any:
        ranges.append(options and options["range"])
        return get(store, key, options={"range": options["range"]} if options else None)

    monkeypatch.setattr(obstore, "get", counted)
    yield ranges


def test_photos_that_follow_each_other_are_one_get(gets: list[Any]) -> None:
    contents = {f"Apple/{number}.jpg": bytes([number]) * 5_000 for number in range(100)}
    content = tar_of(contents)
    store = MemoryStore()
    store.put(SHARD, content)
    store.put("raw/d/Apple/own.jpg", b"own")
    rows = [*rows_of(content), single_photo("raw/d/Apple/own.jpg")]
    found = [result for _, result in read_ahead(rows, partial(read_group, store))]  # type: ignore[arg-type]
    expected = [(each, shards.md5_of(each)) for each in contents.values()]
    assert found[:-1] == expected
    assert isinstance(found[-1], tuple) and found[-1][0] == b"own"
    assert len(gets) == 2


def at(offset: int, size: int, *, shard: str = SHARD, etag: str = "e") -> dict[str, Any]:
    return {**single_photo(f"raw/d/{offset}"), "offset": offset, "size_bytes": size, "shard": shard, "shard_etag": etag}


@pytest.mark.parametrize(
    ("photos", "groups"),
    [
        ([at(0, 10), at(10 + GAP_BYTES, 10)], [2]),
        ([at(0, 10), at(11 + GAP_BYTES, 10)], [1, 1]),
        ([at(0, shards.RANGE_BYTES - 10), at(shards.RANGE_BYTES - 10, 10), at(shards.RANGE_BYTES, 10)], [2, 1]),
        ([at(0, 10), at(10, shards.RANGE_BYTES)], [1, 1]),
        ([at(0, 10), at(10, 10, shard="raw/d/b.tar")], [1, 1]),
        ([at(0, 10), at(10, 10, etag="f")], [1, 1]),
        ([at(10, 10), at(0, 10)], [1, 1]),
        ([at(0, 10), at(5, 10)], [1, 1]),
        ([at(-1, 0), at(0, 10)], [1, 1]),
        ([at(0, 0), at(0, 10), single_photo("raw/d/x"), single_photo("raw/d/y"), at(10, 10)], [2, 1, 1, 1]),
    ],
)
def test_what_is_read_together(photos: list[dict[str, Any]], groups: list[int]) -> None:
    assert [len(group) for group in groups_of(photos)] == groups


@given(st.lists(st.tuples(st.integers(-1, 400), st.integers(0, 120), st.sampled_from(["", "a", "b"])), max_size=30))
def test_no_photo_is_lost_and_no_get_is_too_large(places: list[tuple[int, int, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_reader, "RANGE_BYTES", 100)
        patch.setattr(shard_reader, "GAP_BYTES", 10)
        photos = [at(offset, size, shard=shard) for offset, size, shard in places]
        groups = list(groups_of(photos))
    assert [photo for group in groups for photo in group] == photos
    assert all(len(group) == 1 or 0 <= span_of(group) <= 100 for group in groups)
    assert all(len(group) == 1 or group[0]["shard"] for group in groups)


def test_a_photo_that_must_not_be_read_takes_no_other_with_it(gets: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_reader, "MAX_BYTES", 1_000)
    contents = {"Apple/0.jpg": b"a", "Apple/../1.jpg": b"b", "Apple/2.jpg": bytes(1_001), "Apple/3.jpg": b"", "Apple/4.jpg": b"d"}
    content = tar_of(contents)
    store = MemoryStore()
    store.put(SHARD, content)
    rows = rows_of(content)
    rows[4]["etag"] = "0" * 32
    found = [result for _, result in read_ahead(rows, partial(read_group, store))]  # type: ignore[arg-type]
    outcomes = [result.reason if isinstance(result, UnreadableImage) else result[0] for result in found]
    assert outcomes == [b"a", "unreadable_key", "too_many_bytes", b"", "wrong_digest"]
    assert "delete the index or pack it again" in str(found[4])


def test_neither_a_damaged_shard_nor_a_huge_or_an_empty_photo_is_fetched(gets: list[Any]) -> None:
    store = MemoryStore()
    for row, reason in ((at(-1, 0), "damaged_shard"), (at(0, photo_reader.MAX_BYTES + 1), "too_many_bytes")):
        with pytest.raises(UnreadableImage) as refused:
            read_photo(store, row)  # type: ignore[arg-type]
        assert refused.value.reason == reason
    assert read_photo(store, {**at(512, 0), "etag": shards.md5_of(b"")}) == (b"", shards.md5_of(b""))  # type: ignore[arg-type]
    assert gets == []


def test_photos_of_a_deleted_shard_are_missing(gets: list[Any]) -> None:
    rows = rows_of(tar_of({"Apple/0.jpg": b"a", "Apple/1.jpg": b"b"}))
    found = [result for _, result in read_ahead(rows, partial(read_group, MemoryStore()))]  # type: ignore[arg-type]
    assert [result.reason for result in found if isinstance(result, UnreadableImage)] == ["missing", "missing"]
    assert len(gets) == 1
