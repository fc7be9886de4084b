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


def has_any(content: pq.ParquetFile, paths: Paths) -> bool:
    """Return whether a row of the file has one of the paths; row groups are skipped by their statistics where they have some."""
    metadata = content.metadata
    leaf = next(number for number in range(metadata.num_columns) if metadata.schema.column(number).path == "path")
    for number in range(metadata.num_row_groups):
        statistics = metadata.row_group(number).column(leaf).statistics
        if statistics is not None and statistics.has_min_max and not paths.has_between(statistics.min, statistics.max):
            continue
        for batch in content.iter_batches(row_groups=[number], columns=["path"], use_threads=False):
            if pc.any(pc.is_in(batch["path"].cast(pa.string()), value_set=paths.values)).as_py():
                return True
    return False


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
        if not has_any(content, paths):
            return None
        # A file without a name: whatever becomes of this process, nothing of it stays on the disk.
        with tempfile.TemporaryFile() as copy:
            rows = _copy(content, copy, paths, schema=schema)
            if not rows:
                return Rewritten(file, None)
            new = WrittenFile(layout.beside(file.key, f"rewritten-{uuid.uuid4()}.parquet"), copy.tell(), rows)
            copy.seek(0)
            bucket.upload(new.key, copy)
    return Rewritten(file, new)


def _copy(content: pq.ParquetFile, copy: object, paths: Paths, *, schema: pa.Schema) -> int:
    """Copy the other rows as the stages write them (`fruits.storage.write_row_groups`), and return their number."""
    known = {field.name: field for field in schema}
    kinds = pa.schema([known.get(field.name, field) for field in content.schema_arrow])
    text = [field.name for field in kinds if pa.types.is_string(field.type)]
    rows = 0
    with pq.ParquetWriter(copy, kinds, compression="lz4", use_dictionary=text, write_statistics=["path"]) as out:
        for batch in _batches(content):
            plain = batch.cast(kinds)
            kept = plain.filter(pc.invert(pc.is_in(plain["path"], value_set=paths.values)))
            if len(kept):
                out.write_batch(kept)
                rows += len(kept)
    return rows


def _batches(content: pq.ParquetFile, names: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows, one row group after the other: a reader of all of them keeps what it has read of each."""
    for number in range(content.num_row_groups):
        yield from content.iter_batches(ROWS, row_groups=[number], columns=names, use_threads=False)
