"""Parquet is written group by group, in little memory, and whole or not at all."""

import io
import weakref
from collections.abc import Iterator

import pyarrow as pa
import pytest

from fruits.storage import Storage, write_row_groups

SCHEMA = pa.schema({"path": pa.string(), "number": pa.int64()})


def batch(number: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"path": f"p{number}", "number": number}], schema=SCHEMA)


def test_a_batch_is_freed_before_the_next_one_is_made() -> None:
    previous: list[weakref.ref[pa.RecordBatch]] = []

    def groups() -> Iterator[pa.RecordBatch]:
        for number in range(3):
            assert [ref() for ref in previous[-1:]] in ([], [None])
            made = batch(number)
            previous.append(weakref.ref(made))
            yield made
            del made

    assert write_row_groups(io.BytesIO(), groups(), SCHEMA) == 3


@pytest.mark.slow
@pytest.mark.spark4
def test_rows_are_read_as_they_were_written(storage: Storage) -> None:
    written = storage.write_parquet("rows/some.parquet", (batch(number) for number in range(5)), SCHEMA)
    assert written is not None
    assert (written.rows, written.size_bytes) == (5, len(storage.read(written.key)))
    rows = [row for part in storage.read_rows(written.key, ["number"]) for row in part.to_pylist()]
    assert rows == [{"number": number} for number in range(5)]


@pytest.mark.slow
@pytest.mark.spark4
def test_strings_of_a_file_that_a_delta_commit_rewrote_are_plain_strings(storage: Storage) -> None:
    rewritten = pa.record_batch({"path": pa.array(["p0", "p1"], pa.string_view())})
    storage.write_parquet("rows/rewritten.parquet", [rewritten], rewritten.schema)
    (rows,) = storage.read_rows("rows/rewritten.parquet", ["path"])
    assert rows.filter(pa.array([False, True])).to_pylist() == [{"path": "p1"}]
    assert storage.read_column("rows/rewritten.parquet", "path").type == pa.string()


@pytest.mark.slow
@pytest.mark.spark4
def test_no_row_leaves_no_object_and_files_not_kept_are_deleted(storage: Storage) -> None:
    assert storage.write_parquet("folder/none.parquet", [], SCHEMA) is None
    with pytest.raises(FileNotFoundError, match=r"s3://first/folder/none\.parquet is missing"):
        storage.read("folder/none.parquet")
    for name in ("kept", "old"):
        storage.write(f"folder/{name}", name)
    storage.delete_folder("folder/", but=["folder/kept"])
    assert storage.read("folder/kept") == b"kept"
    with pytest.raises(FileNotFoundError):
        storage.read("folder/old")
