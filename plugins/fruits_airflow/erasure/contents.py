"""Looks for names in the bytes of one version of an object: Parquet, gzip, or anything else as it is."""

import contextlib
import gzip
import tempfile
import zlib
from collections.abc import Collection, Iterator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fruits_airflow.bucket import CHUNK_BYTES, Bucket, ObjectVersion
from fruits_airflow.rewriting import BUFFER_BYTES
from fruits_contract import layout


@contextlib.contextmanager
def downloaded(bucket: Bucket, version: ObjectVersion) -> Iterator[IO[bytes]]:
    """Yield the bytes of a version as a file without a name: the kernel frees it when this process ends, however it ends."""
    with tempfile.TemporaryFile() as file:
        bucket.download(version, file)
        file.seek(0)
        yield file


# What gzip and Parquet raise for an object that is damaged, or is something else than its name says.
UNREADABLE = (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowInvalid)


@contextlib.contextmanager
def unzipped(file: IO[bytes], *, key: str) -> Iterator[IO[bytes]]:
    """Yield the content of a .gz object, and any other one as it is."""
    if key.endswith(".gz"):
        with gzip.open(file) as content:
            yield content  # type: ignore[misc]
    else:
        yield file


def names_in(file: IO[bytes], names: Collection[str]) -> set[str]:
    """Return which of the names occur in a file, which is read in pieces."""
    found: set[str] = set()
    overlap = max(map(len, names), default=1) - 1
    end = b""
    while chunk := file.read(CHUNK_BYTES):
        text = end + chunk
        found |= {name for name in names if name.encode() in text}
        end = text[-overlap:] if overlap else b""
    return found


def contributed_paths(file: IO[bytes], contributions: Collection[str]) -> dict[str, str]:
    """Return the paths of contributions in a Parquet file, of which only that column is read.

    Returns
    -------
    dict of str
        Id of the contribution, by path; empty for a file without paths.
    """
    content = pq.ParquetFile(file, buffer_size=BUFFER_BYTES)
    if "path" not in content.schema_arrow.names:
        return {}
    found: dict[str, str] = {}
    for number in range(content.num_row_groups):
        for batch in content.iter_batches(row_groups=[number], columns=["path"], use_threads=False):
            paths = batch["path"].cast(pa.string())
            for path in paths.filter(pc.match_substring(paths, "contributed-")).to_pylist():
                contribution = layout.contribution_of(path)
                if contribution in contributions:
                    found[path] = contribution
    return found
