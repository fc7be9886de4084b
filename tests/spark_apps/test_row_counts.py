"""Rows are counted file by file, and a path that occurs twice is found wherever its two rows are."""

import io
from collections import Counter

import pyarrow as pa
import pytest
from pyspark import SparkContext

from fruits.row_counts import RowCounts, count_rows, find_duplicates
from fruits.storage import Storage, write_row_groups

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


def put(storage: Storage, key: str, paths: list[str]) -> str:
    """Write a file of paths whose label is their first letter, in row groups of two."""
    table = pa.table({"path": paths, "label": [path[0] for path in paths]})
    write_row_groups(content := io.BytesIO(), table.to_batches(2), table.schema)
    storage.write(key, content.getvalue())
    return key


def long_paths(rows: pa.RecordBatch) -> dict[str, object]:
    return {"long": rows["path"].to_numpy(zero_copy_only=False).astype(str).astype("U9") != rows["path"].to_pylist()}


def test_rows_labels_and_faults_add_up_over_files(context: SparkContext, storage: Storage) -> None:
    keys = [
        put(storage, "counts/one.parquet", ["a1", "a2", "b-is-too-long-1"]),
        put(storage, "counts/two.parquet", [f"b-is-too-long-{number}" for number in range(2, 9)]),
    ]
    counts = count_rows(context, keys, bucket=storage.bucket, columns=["path", "label"], find_faults=long_paths)
    assert (counts.rows, counts.labels, counts.faults) == (10, Counter(a=2, b=8), Counter(long=8))
    assert counts.examples == {"long": [f"b-is-too-long-{number}" for number in range(1, 6)]}


def test_no_files_have_no_rows(context: SparkContext) -> None:
    assert count_rows(context, [], bucket="first", columns=["label"]) == RowCounts()
    assert find_duplicates(context, [], bucket="first") == (0, [])


def test_paths_that_occur_once_are_no_duplicates(context: SparkContext, storage: Storage) -> None:
    keys = [put(storage, "once/one.parquet", list("abc")), put(storage, "once/two.parquet", list("de"))]
    assert find_duplicates(context, keys, bucket=storage.bucket) == (0, [])


def test_a_path_twice_is_found_in_one_file_and_across_files(context: SparkContext, storage: Storage) -> None:
    keys = [put(storage, "twice/one.parquet", list("abcab")), put(storage, "twice/two.parquet", list("dec"))]
    count, examples = find_duplicates(context, keys, bucket=storage.bucket)
    assert (count, sorted(examples)) == (3, ["a", "b", "c"])


def test_of_many_duplicates_a_few_are_named(context: SparkContext, storage: Storage) -> None:
    key = put(storage, "many/one.parquet", [f"p{number}" for number in range(5000)])
    count, examples = find_duplicates(context, [key, key], bucket=storage.bucket)
    assert (count, len(set(examples))) == (5000, 5)
