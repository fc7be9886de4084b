"""Rows are counted file by file, and a path that occurs twice is found wherever its two rows are."""

from collections import Counter

import pyarrow as pa
import pytest
from pyspark import SparkContext

from fruits.row_counts import RowCounts, count_rows, find_duplicates, in_tasks
from fruits.storage import Storage
from fruits_contract import layout
from fruits_contract.manifest import WrittenFile

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


def put(storage: Storage, key: str, paths: list[str]) -> WrittenFile:
    """Write a file of paths whose label is their first letter, in row groups of two."""
    table = pa.table({"path": paths, "label": [path[0] for path in paths]})
    written = storage.write_parquet(key, table.to_batches(2), table.schema)
    assert written is not None
    return written


def long_paths(rows: pa.RecordBatch) -> dict[str, object]:
    return {"long": rows["path"].to_numpy(zero_copy_only=False).astype(str).astype("U9") != rows["path"].to_pylist()}


def test_rows_labels_and_faults_add_up_over_files(context: SparkContext, storage: Storage) -> None:
    files = [
        put(storage, "counts/one.parquet", ["a1", "a2", "b-is-too-long-1"]),
        put(storage, "counts/two.parquet", [f"b-is-too-long-{number}" for number in range(2, 9)]),
    ]
    counts = count_rows(context, files, bucket=storage.bucket, columns=["path", "label"], find_faults=long_paths)
    assert (counts.rows, counts.labels, counts.faults) == (10, Counter(a=2, b=8), Counter(long=8))
    assert counts.examples == {"long": [f"b-is-too-long-{number}" for number in range(1, 6)]}


@pytest.mark.parametrize(("rows", "tasks"), [([], 1), ([5, 5, 5], 1), ([10_000] * 3, 3), ([50_000, 1], 2), ([4_000] * 10, 4)])
def test_small_files_share_a_task(context: SparkContext, rows: list[int], tasks: int) -> None:
    files = [WrittenFile(str(number), 0, count) for number, count in enumerate(rows)]
    assert in_tasks(context, files).getNumPartitions() == tasks


def test_no_files_have_no_rows(context: SparkContext) -> None:
    assert count_rows(context, [], bucket="first", columns=["label"]) == RowCounts()
    assert find_duplicates(context, [], bucket="first") == (0, [])


def test_paths_that_occur_once_are_no_duplicates(context: SparkContext, storage: Storage) -> None:
    files = [put(storage, "once/one.parquet", list("abc")), put(storage, "once/two.parquet", list("de"))]
    assert find_duplicates(context, files, bucket=storage.bucket) == (0, [])


def test_a_path_twice_is_found_in_one_file_and_across_files(context: SparkContext, storage: Storage) -> None:
    files = [put(storage, "twice/one.parquet", list("abcab")), put(storage, "twice/two.parquet", list("dec"))]
    count, examples = find_duplicates(context, files, bucket=storage.bucket)
    assert (count, sorted(examples)) == (3, ["a", "b", "c"])


def test_contributed_duplicates_are_counted_and_not_named(context: SparkContext, storage: Storage) -> None:
    contributed = layout.contributed_image("first", "Apple", "20261122-" + "0" * 32)
    file = put(storage, "contributed/one.parquet", [contributed, "raw/first/Apple/0.jpg"])
    assert find_duplicates(context, [file, file], bucket=storage.bucket) == (2, ["raw/first/Apple/0.jpg"])


def test_of_many_duplicates_a_few_are_named(context: SparkContext, storage: Storage) -> None:
    file = put(storage, "many/one.parquet", [f"p{number}" for number in range(5000)])
    count, examples = find_duplicates(context, [file, file], bucket=storage.bucket)
    assert (count, len(set(examples))) == (5000, 5)
