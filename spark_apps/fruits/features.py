"""Turns a list of photos into files of features: one Spark task per part of the list, one Parquet file per task.

A task has one core: one thread decodes and runs the network, and `fruits.photo_reader` keeps it from waiting for S3. Photos that
cannot be read are returned as rejects; any other error is Spark's to retry.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import Broadcast, SparkContext, TaskContext

from fruits import engine_trial
from fruits.colors import COLOR_COUNT, colors_of
from fruits.engine_trial import Trial
from fruits.engines import FEATURE_COUNT, Engine, engine_name, open_engine
from fruits.errors import UnreadableImage
from fruits.photo_list import Part, Photo, read_photos, sample_photos
from fruits.photo_reader import read_ahead, read_group, read_photo
from fruits.storage import Storage
from fruits.task_counts import count_items
from fruits.vision import SIZE_PX, decode
from fruits_contract import columns
from fruits_contract.manifest import WrittenFile

ROWS_OUT = 1024  # rows of one Arrow batch and row group: 5 MB, of which a task holds two
SCHEMA = columns.arrow_schema(columns.FEATURES)


@dataclass(frozen=True)
class BroadcastExtractor:
    """A feature extractor: its digest, its bytes on every worker, and the engine that runs it."""

    digest: str
    model: Broadcast[bytes]
    engine: str


@dataclass(frozen=True)
class EngineChoice:
    """The engine that a run uses, why, and what was tried for it."""

    extractor: BroadcastExtractor
    name: str
    why: str
    trials: tuple[Trial, ...]

    def as_figures(self) -> dict[str, Any]:
        """Return the choice as the manifest records it."""
        return {"name": self.name, "why": self.why, "trials": [asdict(trial) for trial in self.trials]}


@dataclass(frozen=True)
class FeaturizedPart:
    """The result of one task: its file, if it had a readable photo, and a row (`columns.REJECTS`) per unreadable one."""

    file: WrittenFile | None
    rejects: list[dict[str, Any]]


def choose_engine(
    context: SparkContext, storage: Storage, batch_key: str, *, photo_count: int, extractor: BroadcastExtractor
) -> EngineChoice:
    """Return the requested engine; for `auto`, the fastest by a trial on a worker with some photos of the list `batch_key`.

    One worker decides for all, so that a run's features come from one engine even where the nodes' CPUs differ.
    """
    if extractor.engine != "auto":
        return EngineChoice(extractor, engine_name(extractor.engine), "requested", ())
    bucket = storage.bucket
    sample = sample_photos(storage, batch_key, total=photo_count, count=engine_trial.SAMPLE_PHOTOS)

    def on_worker(_: Any) -> list[Trial]:
        store = Storage(bucket).store
        images = []
        for photo in sample:
            with contextlib.suppress(UnreadableImage):
                images.append(decode(read_photo(store, photo)[0])[0])
        return engine_trial.try_engines(
            engine_trial.CANDIDATES, np.array(images), open_engine=lambda name: open_engine(name, extractor.model.value)
        )

    trials = tuple(context.parallelize([0], 1).map(on_worker).first())
    chosen, why = engine_trial.choose(trials)
    return EngineChoice(replace(extractor, engine=chosen.engine), chosen.name, why, trials)


def featurize(
    context: SparkContext,
    parts: Sequence[Part],
    *,
    bucket: str,
    batch_key: str,
    folder: str,
    counts_folder: str,
    extractor: BroadcastExtractor,
) -> list[FeaturizedPart]:
    """Turn the photos of the list `batch_key` into Parquet files of features (`columns.FEATURES`) below `folder`, one per part.

    While it runs, each task counts its photos below `counts_folder` (`fruits.task_counts`).
    Each task writes its own file, named after the attempt, so that retried and speculative attempts do not overwrite each other.
    The driver keeps the files that tasks returned and deletes the others.
    """
    if not parts:
        return []

    def run(part: Part) -> FeaturizedPart:
        storage, task = Storage(bucket), TaskContext.get()
        assert task is not None, "Spark calls this in a task"
        rejects: list[dict[str, Any]] = []
        engine = _engine_of_worker(extractor)
        photos = read_photos(storage, batch_key, start=part.start, stop=part.stop)
        with count_items(
            read_ahead(photos, partial(read_group, storage.store)), storage=storage, key=f"{counts_folder}{part.number:05d}"
        ) as counted:
            features = features_of(counted, engine=engine, digest=extractor.digest, reject=rejects.append)
            key = f"{folder}part-{part.number:05d}-{task.taskAttemptId()}.parquet"
            return FeaturizedPart(storage.write_parquet(key, features, SCHEMA), rejects)

    return context.parallelize(parts, len(parts)).map(run).collect()


def features_of(
    photos: Iterable[tuple[Photo, tuple[bytes, str] | UnreadableImage]],
    *,
    engine: Engine,
    digest: str,
    reject: Callable[[dict[str, Any]], None],
) -> Iterator[pa.RecordBatch]:
    """Decode `photos` and run the network over them, as Arrow batches of `columns.FEATURES`.

    Each comes with its bytes and ETag, or why it cannot be read (`read_ahead`); `reject` is called with the row of each photo
    that cannot be read or decoded.
    """
    images = np.empty((engine.batch_images, SIZE_PX, SIZE_PX, 3), np.float32)
    rows: list[dict[str, Any]] = []
    features = np.empty((ROWS_OUT, FEATURE_COUNT), np.float32)
    colors = np.empty((ROWS_OUT, COLOR_COUNT), np.float32)
    waiting = 0  # images decoded but not yet run; they belong to the last rows
    for photo, found in photos:
        row = {name: photo[name] for name in ("path", "etag", "label", "contributor")} | {"extractor": digest}
        if isinstance(found, UnreadableImage):
            reject(row | {"reason": found.reason, "detail": str(found)})
            continue
        content, row["etag"] = found
        try:
            _, row["width"], row["height"] = decode(content, out=images[waiting])
        except UnreadableImage as error:
            reject(row | {"reason": error.reason, "detail": str(error)})
            continue
        colors[len(rows)] = colors_of(images[waiting])
        rows.append(row)
        waiting += 1
        if waiting == len(images) or len(rows) == ROWS_OUT:
            features[len(rows) - waiting : len(rows)] = engine.features(images[:waiting])
            waiting = 0
        if len(rows) == ROWS_OUT:
            yield _to_arrow(rows, features=features, colors=colors)
            rows, features, colors = [], np.empty_like(features), np.empty_like(colors)
    if waiting:
        features[len(rows) - waiting : len(rows)] = engine.features(images[:waiting])
    if rows:
        yield _to_arrow(rows, features=features[: len(rows)], colors=colors[: len(rows)])


def _to_arrow(rows: list[dict[str, Any]], **vectors: np.ndarray) -> pa.RecordBatch:
    arrays = [
        _lists(vectors[name]) if name in vectors else pa.array([row[name] for row in rows], type=SCHEMA.field(name).type)
        for name in SCHEMA.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _lists(vectors: np.ndarray) -> pa.ListArray:
    """Return the rows of `vectors`, shape (n, d), as a column of lists, without copying the numbers."""
    offsets = np.arange(0, vectors.size + 1, vectors.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.reshape(-1)))


# A Python worker serves many tasks: loading the network once per process, not once per task, saves seconds each.
_ENGINES: dict[tuple[str, str], Engine] = {}


def _engine_of_worker(extractor: BroadcastExtractor) -> Engine:
    key = (extractor.engine, extractor.digest)
    if key not in _ENGINES:
        _ENGINES[key] = open_engine(extractor.engine, extractor.model.value)
    return _ENGINES[key]
