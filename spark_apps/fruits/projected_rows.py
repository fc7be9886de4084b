"""Reads a run's projections and rejects for the report: a sample for the map, a CSV of all, the first rejects."""

import csv
import hashlib
import heapq
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
from pyspark import SparkContext

from fruits.report import MapPoints
from fruits.row_counts import in_tasks
from fruits.storage import Storage
from fruits_contract import columns
from fruits_contract.manifest import WrittenFile


class _Point(NamedTuple):
    digest: bytes
    label: str
    xy: list[float]


def sample_points(context: SparkContext, files: Sequence[WrittenFile], *, bucket: str, count: int) -> MapPoints:
    """Return up to `count` of the photos in the files: those whose paths have the smallest digests, the same each time."""

    def points_of(file: WrittenFile) -> list[_Point]:
        return heapq.nsmallest(count, _points(Storage(bucket), file.key))

    def smallest(one: list[_Point], other: list[_Point]) -> list[_Point]:
        return heapq.nsmallest(count, one + other)

    points = in_tasks(context, files).map(points_of).treeReduce(smallest) if files else []
    xy = np.zeros((len(points), 2))
    for row, point in zip(xy, points, strict=True):
        row[: len(point.xy)] = point.xy
    return MapPoints(xy, [point.label for point in points], sum(file.rows for file in files))


def _points(storage: Storage, key: str) -> Iterator[_Point]:
    for rows in storage.read_rows(key, list(columns.PROJECTED)):
        first_two = pc.list_slice(rows["projected"], 0, 2).to_pylist()
        for path, label, xy in zip(rows["path"].to_pylist(), rows["label"].to_pylist(), first_two, strict=True):
            yield _Point(hashlib.blake2b(path.encode(), digest_size=8).digest(), label, xy)


def write_csv(out: IO[str], storage: Storage, files: Sequence[WrittenFile], *, k: int) -> int:
    """Write path, label and the `k` coordinates of every photo in the files, and return their number.

    One chunk of rows is in memory. A number is the shortest text that reads back as the same float32.
    """
    writer = csv.writer(out)
    writer.writerow(["path", "label", *(f"pca_{number}" for number in range(1, k + 1))])
    count = 0
    for file in files:
        for rows in storage.read_rows(file.key, list(columns.PROJECTED)):
            for path, label, vector in zip(rows["path"].to_pylist(), rows["label"].to_pylist(), rows["projected"], strict=True):
                writer.writerow([path, label, *vector.values.to_numpy().astype(str)])
            count += len(rows)
    return count


def first_rejects(storage: Storage, files: Sequence[WrittenFile], *, count: int) -> list[dict[str, Any]]:
    """Return the first `count` rejects of the files, by path."""
    rejects = (row for file in files for rows in storage.read_rows(file.key, list(columns.REJECTS)) for row in rows.to_pylist())
    return heapq.nsmallest(count, rejects, key=lambda row: str(row["path"]))
