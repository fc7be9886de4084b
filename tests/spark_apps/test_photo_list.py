"""A batch is divided into tasks of about the same work, and each task reads its own rows of the list, all of them once."""

import io
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from fruits import photo_list
from fruits.photo_list import BYTES_LIKE_A_PHOTO, FULL_TASK, read_photos, sample_photos, split_into_parts, tasks_for
from fruits.storage import Storage


class InMemory(Storage):
    """A list of photos that is nowhere but here."""

    def __init__(self, rows: int, *, group: int) -> None:
        self.store = MemoryStore()
        table = pa.table({"path": [f"p{number}" for number in range(rows)], "size_bytes": list(range(rows))})
        content = io.BytesIO()
        pq.write_table(table, content, row_group_size=group)
        self._content = content.getvalue()

    def open(self, key: str) -> io.BytesIO:  # type: ignore[override]
        return io.BytesIO(self._content)


@given(st.lists(st.integers(0, 20_000_000), max_size=400), st.integers(1, 9))
def test_every_photo_is_in_one_part(sizes: list[int], cores: int) -> None:
    parts = split_into_parts(np.array(sizes, dtype=np.int64), cores=cores)
    assert [part.number for part in parts] == list(range(len(parts)))
    assert all(part.start < part.stop for part in parts)
    assert all(one.stop == other.start for one, other in pairwise(parts))
    assert (parts[0].start, parts[-1].stop) == (0, len(sizes)) if sizes else not parts


def test_parts_have_the_same_work_though_large_photos_lie_together() -> None:
    sizes = np.array([6_000_000] * 1_000 + [5_000] * 9_000)
    parts = split_into_parts(sizes, cores=2)
    work = [(part.stop - part.start) + sizes[part.start : part.stop].sum() / BYTES_LIKE_A_PHOTO for part in parts]
    assert len(parts) == 8
    assert max(work) / min(work) < 1.02


@given(st.integers(1, 60), st.integers(1, 70), st.data())
def test_a_part_reads_its_rows(rows: int, group: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(start + 1, rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_list, "ROWS_READ", 7)
        read = list(read_photos(InMemory(rows, group=group), "list", start=start, stop=stop))
    assert [row["size_bytes"] for row in read] == list(range(start, stop))


def test_a_list_by_an_earlier_release_has_no_shards() -> None:
    (photo,) = read_photos(InMemory(1, group=1), "list", start=0, stop=1)
    assert (photo["path"], photo["shard"], photo["shard_etag"], photo["offset"]) == ("p0", "", "", 0)


@pytest.mark.parametrize(
    ("total", "expected"), [(1, [0]), (5, [0, 1, 2, 3, 4]), (12, [0, 2, 4, 6, 8]), (99, [0, 19, 38, 57, 76])]
)
def test_a_sample_is_evenly_spaced(total: int, expected: list[int]) -> None:
    sample = sample_photos(InMemory(total, group=7), "list", total=total, count=5)
    assert [photo["size_bytes"] for photo in sample] == expected


@pytest.mark.parametrize(
    ("photos", "size_bytes", "cores", "tasks"),
    [
        (0, 0, 2, 1),
        (1, 4_000, 2, 1),
        (200, 800_000, 2, 1),
        (3, 900_000_000, 2, 2),
        (600, 2_400_000, 2, 2),
        (10_000, 50_000_000, 2, 8),
        (50_000, 250_000_000, 2, 4),
        (1_000_000, 5_000_000_000, 40, 80),
        (1_000, 4_000_000_000, 4, 4),
        (10_000, 40_000_000_000, 4, 16),
    ],
)
def test_a_batch_is_divided_into_tasks_of_about_the_same_work(photos: int, size_bytes: int, cores: int, tasks: int) -> None:
    assert tasks_for(photos, size_bytes, cores=cores) == tasks


@given(st.integers(1, 10**7), st.integers(1, 400))
def test_no_task_is_too_large_and_a_large_batch_does_not_make_small_files(photos: int, cores: int) -> None:
    tasks = tasks_for(photos, photos * 5_000, cores=cores)
    assert photos / tasks <= FULL_TASK
    if photos >= cores * FULL_TASK * 1.01:
        assert photos / tasks >= FULL_TASK / 2.1, "a file of a large batch has 64 MB or more"
        assert tasks % cores == 0
