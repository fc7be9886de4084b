"""Reads feature files inside a task, as Arrow from file to NumPy: the way through Spark's own rows costs half as much CPU again.

It must not know what the features are used for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fruits.engines import FEATURE_COUNT
from fruits.storage import Storage
from fruits_contract import columns, layout

CHUNK_ROWS = 3072  # rows handed on at a time: 16 MB
# Files that a Delta commit rewrote carry other Arrow types (string_view), for which there are no kernels.
_SCHEMA = columns.arrow_schema({name: columns.FEATURES[name] for name in ("path", "label", "extractor", "features")})


@dataclass(frozen=True)
class FeatureFile:
    """A Parquet file of features, and the files whose photos replace its rows, features and rejects alike."""

    key: str
    superseded_by: tuple[str, ...] = ()

    @property
    def drop(self) -> str:
        """The drop whose photos these are."""
        return layout.partition_values(self.key)["drop"]


def read_features(file: FeatureFile, *, bucket: str, extractor: str) -> Iterator[pa.RecordBatch]:
    """Yield path, label and features of the rows of `extractor` in `file`, up to `CHUNK_ROWS` at a time and never none.

    One row group is in memory.
    """
    storage = Storage(bucket)
    superseded = _paths(bucket, file.superseded_by)
    with storage.open(file.key) as source:
        content = pq.ParquetFile(source, pre_buffer=True)
        for stored in content.iter_batches(CHUNK_ROWS, columns=_SCHEMA.names, use_threads=False):
            batch = stored.select(_SCHEMA.names).cast(_SCHEMA)
            kept = pc.equal(batch["extractor"], extractor)
            if len(superseded):
                kept = pc.and_(kept, pc.invert(pc.is_in(batch["path"], superseded)))
            rows = batch if pc.all(kept).as_py() else batch.filter(kept)
            if len(rows):
                yield rows.drop_columns(["extractor"])


def vectors_of(rows: pa.RecordBatch) -> np.ndarray:
    """Return the features of `rows`, shape (n, 1280), float32, without copying them."""
    vectors: np.ndarray = rows["features"].flatten().to_numpy().reshape(len(rows), FEATURE_COUNT)
    return vectors


@lru_cache(maxsize=1)  # all files of a drop are superseded by the same ones
def _paths(bucket: str, keys: tuple[str, ...]) -> pa.Array:
    storage = Storage(bucket)
    chunks = [chunk for key in keys for chunk in storage.read_column(key, "path").cast(pa.string()).chunks]
    return pa.chunked_array(chunks, pa.string()).combine_chunks()
