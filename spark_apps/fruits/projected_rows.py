"""Reads a run's projections and rejects for the report: a CSV of all projections, and the first rejects."""

import csv
import heapq
from collections.abc import Sequence
from typing import IO, Any

from fruits.storage import Storage
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile


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
    """Return the first `count` rejects of the files, by path; none of contributed photos."""
    rejects = (row for file in files for rows in storage.read_rows(file.key, list(columns.REJECTS)) for row in rows.to_pylist())
    shown = (row for row in rejects if not layout.contribution_of(row["path"]))
    return heapq.nsmallest(count, shown, key=lambda row: str(row["path"]))
