"""Small objects of the bucket, read and written by a driver or a worker.

Endpoint, region and keys come from the standard environment. It must not build keys (`fruits_contract.layout` does).
"""

import io
from pathlib import Path

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet
from obstore.fsspec import FsspecStore
from obstore.store import S3Store

from fruits_contract.manifest import WrittenFile


class Storage:
    """The project's bucket."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.store = S3Store(bucket)
        self._files = FsspecStore("s3")

    def read(self, key: str) -> bytes:
        """Return the object's bytes; FileNotFoundError names the key when it is not there."""
        try:
            return bytes(obstore.get(self.store, key).bytes())
        except FileNotFoundError as error:
            raise FileNotFoundError(f"s3://{self.bucket}/{key} is not there") from error

    def write(self, key: str, content: bytes | str) -> None:
        """Put the object, whole or not at all."""
        obstore.put(self.store, key, content.encode() if isinstance(content, str) else content)

    def upload(self, key: str, file: str) -> None:
        """Put a local file, in parts when it is large."""
        obstore.put(self.store, key, Path(file))

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
        with self._files.open(f"{self.bucket}/{key}") as source:
            return pyarrow.parquet.read_table(source, columns=[name])[name]

    def delete_folder(self, prefix: str) -> None:
        """Delete every object below `prefix`."""
        for page in obstore.list(self.store, prefix=prefix):
            obstore.delete(self.store, [item["path"] for item in page])

    def parquet_files(self, prefix: str) -> tuple[WrittenFile, ...]:
        """Return the non-empty Parquet files below `prefix`; the row counts are read from the footers."""
        found = []
        for page in obstore.list(self.store, prefix=prefix):
            for item in page:
                if item["path"].endswith(".parquet"):
                    with self._files.open(f"{self.bucket}/{item['path']}") as source:
                        rows = pyarrow.parquet.read_metadata(source).num_rows
                    if rows:
                        found.append(WrittenFile(item["path"], item["size"], rows))
        return tuple(sorted(found, key=lambda file: file.key))
