"""The list of photos of a run, and how it is divided among tasks."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fruits.storage import Storage

BYTES_LIKE_A_PHOTO = 600_000  # fetching and decoding so many bytes takes as long as the network's work on one photo
FULL_TASK = 25_000  # photos of a task of a large batch: a file of about 100 MB, and minutes of work
SMALL_TASK = 1_024  # fewer photos than this are not worth a task's start of half a second
WORKER_START = 128  # photos that are featurized in the time that one more Python worker takes to start
WAVES = 4  # tasks per core of a middling batch: a core that is slower than the others leaves its last task to them
ROWS_READ = 1_024  # rows of the list in memory at a time

Photo = dict[str, Any]
# Of a list by an earlier release, which has no shards.
NO_SHARD: Photo = {"shard": "", "shard_etag": "", "offset": 0}


@dataclass(frozen=True)
class Part:
    """The rows from `start` up to `stop` of the list: the work of one task."""

    number: int
    start: int
    stop: int


def split_into_parts(sizes: np.ndarray, *, cores: int) -> list[Part]:
    """Cut a list of photos, by their sizes in bytes, shape (n,), into parts of about the same work; none for no photos."""
    if not len(sizes):
        return []
    work = np.cumsum(1 + sizes / BYTES_LIKE_A_PHOTO)
    tasks = tasks_for(len(sizes), int(sizes.sum()), cores=cores)
    inner = np.searchsorted(work, work[-1] * np.arange(1, tasks) / tasks)
    cuts = np.unique([0, *inner, len(sizes)]).tolist()
    return [Part(number, start, stop) for number, (start, stop) in enumerate(pairwise(cuts))]


def tasks_for(photos: int, size_bytes: int, *, cores: int) -> int:
    """Return the number of tasks for a batch of so many photos and bytes, a multiple of `cores` once it is worth that.

    Large batches get tasks whose files have 64 to 128 MB, at least two per core; smaller ones up to `WAVES` tasks per core.
    """
    work = photos + size_bytes / BYTES_LIKE_A_PHOTO
    per_core = work / cores
    if per_core >= FULL_TASK:
        return cores * max(2, math.ceil(per_core / FULL_TASK))
    if per_core >= SMALL_TASK:
        return cores * min(WAVES, int(per_core // SMALL_TASK))
    return max(1, min(cores, photos, int(work // WORKER_START)))


def read_sizes(storage: Storage, key: str) -> np.ndarray:
    """Return the sizes of all photos of the list at `key`, in bytes, shape (n,), int64; 0 where the list has none."""
    sizes: np.ndarray = storage.read_column(key, "size_bytes").fill_null(0).to_numpy()
    return sizes


def read_photos(storage: Storage, key: str, *, start: int, stop: int) -> Iterator[Photo]:
    """Yield those rows of the list at `key` (`columns.BATCH`), reading only the row groups that hold them."""
    with storage.open(key) as source:
        content = pq.ParquetFile(source)
        ends = np.cumsum([content.metadata.row_group(number).num_rows for number in range(content.num_row_groups)])
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        row = int(ends[first - 1]) if first else 0
        for batch in content.iter_batches(ROWS_READ, row_groups=range(first, last + 1), use_threads=False):
            wanted = batch.slice(max(start - row, 0), max(stop - max(row, start), 0))
            yield from (NO_SHARD | photo for photo in wanted.to_pylist())
            row += len(batch)


def sample_photos(storage: Storage, key: str, *, total: int, count: int) -> list[Photo]:
    """Return up to `count` of the `total` photos of the list at `key`, evenly spaced."""
    step = max(1, total // count)
    spaced = islice(read_photos(storage, key, start=0, stop=total), 0, count * step, step)
    return list(spaced)
