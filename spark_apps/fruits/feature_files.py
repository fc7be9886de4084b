"""The feature files of a run, read inside a task from Parquet to NumPy by Arrow: Spark's own rows cost half as much CPU again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fruits.engines import FEATURE_COUNT
from fruits.stage_run import StageRun
from fruits.storage import Storage
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, FeaturesRunParams

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


def features_of_run(run: StageRun[FeaturesRunParams]) -> list[FeatureFile]:
    """Return the files of features that a stage after featurize works on: in fit mode all retained ones too, else this run's.

    A photo that this run featurized anew counts once, with its new features; one that it rejected does not count any more.
    """
    own = [FeatureFile(file.key) for file in run.files_of(FEATURIZE, layout.FEATURES_TABLE)]
    if run.params.mode != "fit":
        return own
    written = tuple(file.key for file in run.manifest_of(FEATURIZE).files)
    same_drop = layout.features_drop(run.params.drop)
    published = json.loads(run.storage.read(layout.retained(run.params.run)))
    return own + [FeatureFile(key, superseded_by=written if key.startswith(same_drop) else ()) for key in published]


def read_features(file: FeatureFile, *, bucket: str, extractor: str) -> Iterator[pa.RecordBatch]:
    """Yield path, label and features of the rows of `extractor` in `file`, up to `CHUNK_ROWS` at a time and never none."""
    superseded = _paths(bucket, file.superseded_by)
    for stored in Storage(bucket).read_rows(file.key, _SCHEMA.names):
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
    chunks = [chunk for key in keys for chunk in storage.read_column(key, "path").chunks]
    return pa.chunked_array(chunks, pa.string()).combine_chunks()
