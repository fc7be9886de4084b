"""Reads feature files inside a task, as Arrow from file to NumPy: the way through Spark's own rows costs three times the CPU.

It must not know what the features are used for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from obstore.fsspec import FsspecStore

from fruits.engines import FEATURES

CHUNK_ROWS = 3072  # rows handed on at a time: 16 MB, a row group of featurize
# Files that a Delta commit rewrote carry other Arrow types (string_view), for which there are no kernels.
_SCHEMA = pa.schema({"path": pa.string(), "extractor": pa.string(), "features": pa.list_(pa.float32())})


@dataclass(frozen=True)
class FeatureFile:
    """A Parquet file of features, and the files whose photos replace its rows, features and rejects alike."""

    key: str
    superseded_by: tuple[str, ...] = ()


def read_features(file: FeatureFile, *, bucket: str, extractor: str) -> Iterator[np.ndarray]:
    """Yield the features of `extractor` in `file`, shape (n, 1280), float32, n up to `CHUNK_ROWS`; one row group in memory."""
    files = FsspecStore("s3")
    gone = [_paths(files, bucket, key) for key in file.superseded_by]
    superseded = pa.concat_arrays(gone) if gone else None
    with files.open(f"{bucket}/{file.key}") as source:
        content = pq.ParquetFile(source, pre_buffer=True)
        for stored in content.iter_batches(CHUNK_ROWS, columns=_SCHEMA.names, use_threads=False):
            batch = stored.select(_SCHEMA.names).cast(_SCHEMA)
            kept = pc.equal(batch["extractor"], extractor)
            if superseded is not None:
                kept = pc.and_(kept, pc.invert(pc.is_in(batch["path"], superseded)))
            rows = batch["features"] if pc.all(kept).as_py() else batch["features"].filter(kept)
            if len(rows):
                yield rows.flatten().to_numpy().reshape(len(rows), FEATURES)


def _paths(files: FsspecStore, bucket: str, key: str) -> pa.Array:
    with files.open(f"{bucket}/{key}") as source:
        return pq.read_table(source, columns=["path"])["path"].cast(pa.string()).combine_chunks()
