"""Photos are read ahead in order and within bounds, and a key that object_store refuses is one reject."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from fruits import photo_reader
from fruits.errors import UnreadableImage
from fruits.photo_reader import read_ahead, read_group, read_photo, run_ahead
from fruits.storage import Storage
from tests.fixtures.packed_drop import single_photo


def photo(key: str) -> dict[str, Any]:
    return single_photo(key)


@pytest.mark.slow
@pytest.mark.spark4
def test_a_key_with_control_characters_is_a_reject_and_the_others_are_read(storage: Storage) -> None:
    keys = [
        "raw/odd/Apple/1.jpg",
        "raw/odd/Apple/2\n.jpg",
        "raw/odd/Apple\t/3.jpg",
        "raw/odd/Apple/\x7f4.jpg",
        "raw/odd/Äpfel, 100%/5 ~#?.jpg",
    ]
    s3 = boto3.client("s3")
    etags = {}
    for key in keys:
        etags[key] = s3.put_object(Bucket=storage.bucket, Key=key, Body=key.encode())["ETag"].strip('"')
    found = [result for _, result in read_ahead(map(photo, keys), partial(read_group, storage.store))]
    assert (found[0], found[4]) == ((keys[0].encode(), etags[keys[0]]), (keys[4].encode(), etags[keys[4]]))
    for key, refused in zip(keys[1:4], found[1:4], strict=True):
        assert isinstance(refused, UnreadableImage)
        assert refused.reason == "unreadable_key"
        assert str(refused).startswith(f"{key!r} holds a control character")
        assert str(refused).isprintable()


@pytest.mark.parametrize(
    "key", ["raw/d/a\\b.jpg", "raw/d//b.jpg", "raw/d/./b.jpg", "raw/d/../b.jpg", "raw/d/b/", "raw/d/\0.jpg", "/raw/b.jpg"]
)
def test_a_key_that_s3_allows_and_object_store_does_not_is_unreadable(key: str) -> None:
    with pytest.raises(UnreadableImage) as refused:
        read_photo(MemoryStore(), photo(key))  # type: ignore[arg-type]
    assert refused.value.reason == "unreadable_key"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_obstore_can_read_every_key_that_is_not_refused(name: str) -> None:
    with pytest.raises(UnreadableImage) as refused:
        read_photo(MemoryStore(), photo(f"raw/d/{name}"))  # type: ignore[arg-type]
    assert refused.value.reason in {"missing", "unreadable_key"}


@pytest.mark.slow
@pytest.mark.spark4
def test_a_photo_that_was_deleted_is_missing(storage: Storage) -> None:
    with pytest.raises(UnreadableImage, match="deleted after the batch was planned") as refused:
        read_photo(storage.store, photo("raw/odd/Apple/nobody.jpg"))
    assert refused.value.reason == "missing"


def test_an_object_of_too_many_bytes_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_reader, "MAX_BYTES", 1000)
    store = MemoryStore()
    store.put("raw/d/at_limit.jpg", bytes(1000))
    store.put("raw/d/over.jpg", bytes(1001))
    assert len(read_photo(store, photo("raw/d/at_limit.jpg"))[0]) == 1000  # type: ignore[arg-type]
    with pytest.raises(UnreadableImage, match="1,001 bytes; at most 1,000 are read") as refused:
        read_photo(store, photo("raw/d/over.jpg"))  # type: ignore[arg-type]
    assert refused.value.reason == "too_many_bytes"


@given(st.lists(st.integers(0, 100), max_size=60), st.integers(1, 70), st.integers(1, 400))
def test_results_come_in_the_order_of_the_items(items: list[int], photos: int, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setattr(photo_reader, "AHEAD_PHOTOS", photos)
        patch.setattr(photo_reader, "AHEAD_BYTES", size)
        results = list(run_ahead(pool, lambda item: item * 2, items, size=lambda item: item))
    assert results == [(item, item * 2) for item in items]


@pytest.mark.parametrize(("photos", "size", "most"), [(1, 10**6, 1), (16, 10**6, 16), (1000, 100, 10), (1000, 5, 1)])
def test_no_more_than_the_bounds_allow_wait_or_run(monkeypatch: pytest.MonkeyPatch, photos: int, size: int, most: int) -> None:
    monkeypatch.setattr(photo_reader, "AHEAD_PHOTOS", photos)
    monkeypatch.setattr(photo_reader, "AHEAD_BYTES", size)
    begun = 0

    def items() -> Iterator[int]:
        nonlocal begun
        for item in range(60):
            begun += 1
            yield item

    held = []
    with ThreadPoolExecutor(4) as pool:
        for yielded, _ in enumerate(run_ahead(pool, lambda item: item, items(), size=lambda item: 10)):
            held.append(begun - yielded)
    assert max(held) == most


def test_items_run_at_the_same_time() -> None:
    # Each of four waits until all four are under way: one after the other they would never pass.
    together = threading.Barrier(4, timeout=30)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(run_ahead(pool, lambda item: together.wait(), range(8), size=lambda item: 1))) == 8


def test_an_error_comes_in_its_turn() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = run_ahead(pool, lambda item: 1 / item, [1, 2, 0, 4], size=lambda item: 1)
        assert [next(results), next(results)] == [(1, 1), (2, 0.5)]
        with pytest.raises(ZeroDivisionError):
            next(results)
