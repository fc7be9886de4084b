"""Counts the rows of a run's files for the checks: Arrow in Spark tasks, one file at a time, and only counts on the driver."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np
import pyarrow as pa
from pyspark import RDD, SparkContext

from fruits.storage import Storage
from fruits_contract import layout
from fruits_contract.manifest import WrittenFile

EXAMPLES = 5
FindFaults = Callable[[pa.RecordBatch], dict[str, np.ndarray]]


ROWS_PER_TASK = 10_000  # fewer are read in the time that one more Python worker takes to start


@dataclass(frozen=True)
class RowCounts:
    """Rows of some files: in all, by label, and by fault, each fault with the first paths that nobody contributed."""

    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def merge(self, other: "RowCounts") -> "RowCounts":
        """Return the counts of both."""
        faults = self.faults + other.faults
        examples = {name: (self.examples.get(name, []) + other.examples.get(name, []))[:EXAMPLES] for name in faults}
        return RowCounts(self.rows + other.rows, self.labels + other.labels, faults, examples)


def no_faults(rows: pa.RecordBatch) -> dict[str, np.ndarray]:
    """Find nothing."""
    return {}


def in_tasks(context: SparkContext, files: Sequence[WrittenFile]) -> RDD[WrittenFile]:
    """Distribute files: one per task, or several small ones."""
    tasks = sum(file.rows for file in files) // ROWS_PER_TASK
    return context.parallelize(files, max(1, min(len(files), tasks)))


def count_rows(
    context: SparkContext,
    files: Sequence[WrittenFile],
    *,
    bucket: str,
    columns: Sequence[str],
    find_faults: FindFaults = no_faults,
) -> RowCounts:
    """Count the rows of the files.

    `find_faults` returns by name which rows have a fault, as booleans, shape (n,); it needs `path` among the `columns`. With
    `label` among them, rows are counted by label.
    """
    if not files:
        return RowCounts()

    def count_file(file: WrittenFile) -> RowCounts:
        batches = Storage(bucket).read_rows(file.key, columns)
        return reduce(RowCounts.merge, (count_batch(rows, find_faults(rows)) for rows in batches), RowCounts())

    return in_tasks(context, files).map(count_file).treeReduce(RowCounts.merge)


def count_batch(rows: pa.RecordBatch, faults: dict[str, np.ndarray]) -> RowCounts:
    """Count the rows of one Arrow batch."""
    labels = Counter(rows["label"].to_pylist()) if "label" in rows.schema.names else Counter[str]()
    found = {name: is_faulty for name, is_faulty in faults.items() if is_faulty.any()}
    return RowCounts(
        len(rows),
        labels,
        Counter({name: int(is_faulty.sum()) for name, is_faulty in found.items()}),
        {name: _examples(rows["path"].filter(pa.array(is_faulty)).to_pylist()) for name, is_faulty in found.items()},
    )


def find_duplicates(context: SparkContext, files: Sequence[WrittenFile], *, bucket: str) -> tuple[int, list[str]]:
    """Return how many paths occur more than once in the files, and a few of them that nobody contributed.

    The paths are shuffled by their hash, so that no process holds all of them.
    """
    if not files:
        return 0, []

    def paths_of(file: WrittenFile) -> Iterator[tuple[str, int]]:
        for rows in Storage(bucket).read_rows(file.key, ["path"]):
            for path in rows["path"].to_pylist():
                yield path, 1

    paths = in_tasks(context, files).flatMap(paths_of).reduceByKey(add)
    repeated = paths.filter(lambda counted: counted[1] > 1).keys()
    count = repeated.count()
    named = repeated.filter(lambda path: not layout.contribution_of(path))
    return count, named.take(EXAMPLES) if count else []


def _examples(paths: list[str]) -> list[str]:
    """Return the first paths of photos that nobody contributed: findings get into logs and reports."""
    return [path for path in paths if not layout.contribution_of(path)][:EXAMPLES]
