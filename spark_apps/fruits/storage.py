"""Reads and writes objects of the bucket: bytes, arrays and Parquet, from a driver or a worker.

Endpoint, region and credentials come from the standard AWS environment; keys come from `fruits_contract.layout`.
"""

import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.fsspec import BufferedFile, FsspecStore
from obstore.store import S3Store

from fruits_contract.manifest import WrittenFile

CHUNK_ROWS = 3072  # rows read at a time: 16 MB of features
UPLOADS_AT_ONCE = 2  # parts of 5 MB of one file; obstore's own 12 take as much memory as a whole file of features


class Storage:
    """The project's bucket."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.store = S3Store(bucket)
        self._files = FsspecStore("s3")

    def read(self, key: str) -> bytes:
        """Return the object's bytes; FileNotFoundError names the key when it is missing."""
        try:
            return bytes(obstore.get(self.store, key).bytes())
        except FileNotFoundError as error:
            raise FileNotFoundError(f"s3://{self.bucket}/{key} is missing") from error

    def write(self, key: str, content: bytes | str) -> None:
        """Put the object, whole or not at all."""
        obstore.put(self.store, key, content.encode() if isinstance(content, str) else content)

    def upload(self, key: str, file: str) -> None:
        """Put a local file, in parts when it is large."""
        obstore.put(self.store, key, Path(file), max_concurrency=UPLOADS_AT_ONCE)

    def open(self, key: str) -> BufferedFile:
        """Open an object to read parts of it, as Parquet's readers do."""
        file: BufferedFile = self._files.open(f"{self.bucket}/{key}")
        return file

    def read_rows(self, key: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield columns of a Parquet object, up to `CHUNK_ROWS` rows at a time.

        The columns are fetched in few large requests and held compressed: 100 MB at most for a file of features.
        """
        with self.open(key) as source:
            content = pq.ParquetFile(source, pre_buffer=True)
            for batch in content.iter_batches(CHUNK_ROWS, columns=list(columns), use_threads=False):
                yield batch.cast(_without_views(batch.schema))

    def read_arrays(self, key: str) -> dict[str, np.ndarray]:
        """Return the arrays of an .npz object by name."""
        with np.load(io.BytesIO(self.read(key)), allow_pickle=False) as arrays:
            return dict(arrays)

    def write_arrays(self, key: str, arrays: dict[str, np.ndarray]) -> None:
        """Put arrays as one .npz object."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        self.write(key, content.getvalue())

    def read_column(self, key: str, name: str) -> pa.ChunkedArray:
        """Return one column of a Parquet object, without Spark: its first query costs seconds."""
        with self.open(key) as source:
            table = pq.read_table(source, columns=[name])
            return table.cast(_without_views(table.schema))[name]

    def write_parquet(self, key: str, groups: Iterable[pa.RecordBatch], schema: pa.Schema) -> WrittenFile | None:
        """Write a Parquet object, whole or not at all, one row group at a time (`write_row_groups`); no row leaves no object."""
        # A file without a name: whatever becomes of this process, nothing of it stays on the disk.
        with tempfile.TemporaryFile() as file:
            rows = write_row_groups(file, groups, schema)
            if not rows:
                return None
            size = file.tell()
            file.seek(0)
            obstore.put(self.store, key, file, max_concurrency=UPLOADS_AT_ONCE)
        return WrittenFile(key, size, rows)

    def etags(self, prefix: str) -> dict[str, str]:
        """Return the ETag of every object below `prefix`, by key."""
        return {item["path"]: item["e_tag"] or "" for page in obstore.list(self.store, prefix=prefix) for item in page}

    def delete_folder(self, prefix: str, *, but: Iterable[str] = ()) -> None:
        """Delete every object below `prefix` whose key is not in `but`."""
        kept = set(but)
        for page in obstore.list(self.store, prefix=prefix):
            obstore.delete(self.store, [item["path"] for item in page if item["path"] not in kept])


def write_row_groups(file: IO[bytes], groups: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
    """Write Parquet, each batch a row group, and return the number of rows.

    Plain LZ4: numbers do not repeat and hardly shrink, and it reads as fast as no compression. Only text has a dictionary.
    """
    text = [field.name for field in schema if pa.types.is_string(field.type)]
    rows = 0
    with pq.ParquetWriter(file, schema, compression="lz4", use_dictionary=text, write_statistics=["path"]) as out:
        for group in groups:
            out.write_batch(group)
            rows += len(group)
            del group  # its memory is free before the next one is made
    return rows


def _without_views(schema: pa.Schema) -> pa.Schema:
    """Return the schema with plain strings: files that a Delta commit rewrote have string_view, for which Arrow lacks kernels."""
    return pa.schema([field.with_type(pa.string()) if field.type == pa.string_view() else field for field in schema])
