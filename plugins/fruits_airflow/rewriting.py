"""Copies a Parquet file of a table without some of its rows, in the memory of one row group."""

import tempfile
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fruits_airflow.bucket import Bucket
from fruits_contract import layout
from fruits_contract.manifest import WrittenFile

ROWS = 1024  # of a row group, as the stages write them: 6 MB of features
# Read at a time of a column in one row group: files that delta-rs has merged hold all of their rows in one.
BUFFER_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Paths:
    """Distinct paths of photos."""

    values: pa.Array

    @classmethod
    def of(cls, chunks: Iterable[pa.Array]) -> "Paths":
        """Collect paths; a path may come more than once."""
        return cls(pa.chunked_array(chunks, pa.string()).unique())

    def has_between(self, first: str, last: str) -> bool:
        """Return whether a path lies between two others, both included."""
        is_between = pc.and_(pc.greater_equal(self.values, first), pc.less_equal(self.values, last))
        return bool(pc.any(is_between).as_py())


def paths_in(bucket: Bucket, files: Iterable[WrittenFile]) -> Paths:
    """Return the paths in Parquet files, of which only that column is read."""
    chunks: list[pa.Array] = []
    for file in files:
        with bucket.open(file.key) as source:
            content = pq.ParquetFile(source, buffer_size=BUFFER_BYTES)
            chunks += [batch["path"].cast(pa.string()) for batch in _batches(content, ["path"])]
    return Paths.of(chunks)


def rows_with(content: pq.ParquetFile, paths: Paths) -> pa.BooleanArray:
    """Return for each row of the file whether it has one of the paths; of the rows only their paths are read.

    One lookup for the whole file: each builds a hash table of all `paths`.
    """
    if not _may_have(content, paths):
        return pa.repeat(False, content.metadata.num_rows)
    of_rows = [batch["path"].cast(pa.string()) for batch in _batches(content, ["path"])]
    return pc.is_in(pa.concat_arrays(of_rows), value_set=paths.values)


def _may_have(content: pq.ParquetFile, paths: Paths) -> bool:
    """Return whether a path lies between the smallest and the largest one of a row group, as far as the file says them."""
    metadata = content.metadata
    leaf = next(number for number in range(metadata.num_columns) if metadata.schema.column(number).path == "path")
    found = (metadata.row_group(number).column(leaf).statistics for number in range(metadata.num_row_groups))
    return any(each is None or not each.has_min_max or paths.has_between(each.min, each.max) for each in found)


@dataclass(frozen=True)
class Rewritten:
    """A file that held unwanted rows, and the file of its other rows beside it; None where it had no others."""

    old: WrittenFile
    new: WrittenFile | None


def rewrite_without(bucket: Bucket, file: WrittenFile, paths: Paths, *, schema: pa.Schema) -> Rewritten | None:
    """Write the rows of a file whose path is not in `paths` into a new file of the same folder.

    Parameters
    ----------
    schema
        The types of the contract. Those in the file may differ where delta-rs wrote it.

    Returns
    -------
    Rewritten or None
        None where the file has none of the paths: nothing is written.
    """
    with bucket.open(file.key) as source:
        content = pq.ParquetFile(source, buffer_size=BUFFER_BYTES)
        unwanted = rows_with(content, paths)
        if not pc.any(unwanted).as_py():
            return None
        if pc.all(unwanted).as_py():
            return Rewritten(file, None)
        # A file without a name: the kernel frees it when this process ends, however it ends.
        with tempfile.TemporaryFile() as copy:
            rows = _copy(content, copy, pc.invert(unwanted), schema=schema)
            new = WrittenFile(layout.beside(file.key, f"rewritten-{uuid.uuid4()}.parquet"), copy.tell(), rows)
            copy.seek(0)
            bucket.upload(new.key, copy)
    return Rewritten(file, new)


def _copy(content: pq.ParquetFile, copy: object, is_kept: pa.BooleanArray, *, schema: pa.Schema) -> int:
    """Copy some rows as the stages write them (`fruits.storage.write_row_groups`), and return their number."""
    known = {field.name: field for field in schema}
    kinds = pa.schema([known.get(field.name, field) for field in content.schema_arrow])
    text = [field.name for field in kinds if pa.types.is_string(field.type)]
    rows = seen = 0
    with pq.ParquetWriter(copy, kinds, compression="lz4", use_dictionary=text, write_statistics=["path"]) as out:
        for batch in _batches(content):
            kept = batch.cast(kinds).filter(is_kept.slice(seen, len(batch)))
            seen += len(batch)
            if len(kept):
                out.write_batch(kept)
                rows += len(kept)
    return rows


def _batches(content: pq.ParquetFile, names: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows, one row group after the other: a reader of all of them keeps what it has read of each."""
    for number in range(content.num_row_groups):
        yield from content.iter_batches(ROWS, row_groups=[number], columns=names, use_threads=False)
