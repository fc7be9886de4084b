"""From a list of photos to a table of features.

GETs and decoding run ahead of the network in threads, with a bounded number of photos in memory. It must not know keys or
manifests: photos that cannot be read are returned as rejects, and any other error is Spark's to retry.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import obstore
import pyarrow as pa
from obstore.store import S3Store
from pyspark import Accumulator, AccumulatorParam, Broadcast
from pyspark.sql import DataFrame

from fruits.engines import BATCH_IMAGES, FEATURES, Engine, open_engine
from fruits.errors import UnreadableImage
from fruits.vision import decode
from fruits_contract import columns

READERS = 16  # concurrent GETs of one task: hides tens of milliseconds per object behind the network's 5 ms per photo
AHEAD = 8 * BATCH_IMAGES  # decoded photos held at most, 600 kB each
ROWS_OUT = 512  # rows of one Arrow batch handed back to Spark
ROWS_PER_TASK = 4096

T = TypeVar("T")
R = TypeVar("R")

_ARROW = {"string": pa.string(), "int": pa.int32(), "array<float>": pa.list_(pa.float32())}
_SCHEMA = pa.schema([(name, _ARROW[kind]) for name, kind in columns.FEATURES.items()])


@dataclass(frozen=True)
class Extractor:
    """A feature extractor: its digest, its bytes on every worker, and the engine that runs it."""

    digest: str
    model: Broadcast[bytes]
    engine: str


class _Rows(AccumulatorParam[list[dict[str, Any]]]):
    """Collects the rejects: few and small, and counted once per finished task of a write."""

    def zero(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return []

    def addInPlace(self, value1: list[dict[str, Any]], value2: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return value1 + value2


def featurize(batch: DataFrame, *, bucket: str, extractor: Extractor) -> tuple[DataFrame, Accumulator[list[dict[str, Any]]]]:
    """Turn the photos of `batch` (`columns.BATCH`) into features (`columns.FEATURES`).

    Returns
    -------
    features : DataFrame
        One row per readable photo, lazily.
    rejects : Accumulator of list of dict
        One row (`columns.REJECTS`) per unreadable photo; complete once `features` has been written, in one action.
    """
    context = batch.sparkSession.sparkContext
    rejects = context.accumulator([], _Rows())

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        engine = _engine_of_worker(extractor)
        photos = (photo for batch in batches for photo in batch.to_pylist())
        read = _reader(S3Store(bucket))
        yield from features_of(photos, read=read, engine=engine, digest=extractor.digest, reject=rejects.add)

    cores = context.defaultParallelism
    tasks = cores * -(-batch.count() // (cores * ROWS_PER_TASK)) or 1
    return batch.repartition(tasks).mapInArrow(run, columns.ddl(columns.FEATURES)), rejects


def features_of(
    photos: Iterable[dict[str, Any]],
    *,
    read: Callable[[dict[str, Any]], tuple[bytes, str]],
    engine: Engine,
    digest: str,
    reject: Callable[[list[dict[str, Any]]], None],
) -> Iterator[pa.RecordBatch]:
    """Read, decode and run the network over `photos`, as Arrow batches of `columns.FEATURES`.

    `read` returns a photo's bytes and ETag, or raises `UnreadableImage`; `reject` is called with the row of each such photo.
    """

    def prepare(photo: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray | None]:
        row = {name: photo[name] for name in ("path", "etag", "label", "contributor")} | {"extractor": digest}
        try:
            content, row["etag"] = read(photo)
            image, row["width"], row["height"] = decode(content)
        except UnreadableImage as error:
            reject([row | {"reason": error.reason, "detail": str(error)}])
            return row, None
        return row, image

    rows: list[dict[str, Any]] = []
    images: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    report = _Progress()
    with ThreadPoolExecutor(READERS) as pool:
        for row, image in run_ahead(pool, prepare, photos, ahead=AHEAD):
            report.one_more()
            if image is None:
                continue
            rows.append(row)
            images.append(image)
            if len(images) == BATCH_IMAGES:
                vectors.append(engine.features(np.stack(images)))
                images.clear()
            if len(rows) >= ROWS_OUT and not images:
                yield _to_arrow(rows, vectors)
                rows, vectors = [], []
    if images:
        vectors.append(engine.features(np.stack(images)))
    if rows:
        yield _to_arrow(rows, vectors)


def run_ahead(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], *, ahead: int) -> Iterator[R]:
    """Yield `function(item)` in the order of `items`, with at most `ahead` results waiting or under way."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _reader(store: S3Store) -> Callable[[dict[str, Any]], tuple[bytes, str]]:
    def read(photo: dict[str, Any]) -> tuple[bytes, str]:
        try:
            answer = obstore.get(store, photo["path"])
        except FileNotFoundError as error:
            raise UnreadableImage("missing", "the object was deleted after the batch was planned") from error
        return answer.bytes().to_bytes(), (answer.meta["e_tag"] or "").strip('"')

    return read


def _to_arrow(rows: list[dict[str, Any]], vectors: list[np.ndarray]) -> pa.RecordBatch:
    flat = np.concatenate(vectors).astype(np.float32, copy=False).reshape(-1)
    offsets = np.arange(0, len(flat) + 1, FEATURES, dtype=np.int32)
    arrays = [
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
        if name == "features"
        else pa.array([row[name] for row in rows], type=_SCHEMA.field(name).type)
        for name in _SCHEMA.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


# A Python worker serves many tasks: loading the network once per process, not once per task, saves seconds each.
_ENGINES: dict[tuple[str, str], Engine] = {}


def _engine_of_worker(extractor: Extractor) -> Engine:
    key = (extractor.engine, extractor.digest)
    if key not in _ENGINES:
        _ENGINES[key] = open_engine(extractor.engine, extractor.model.value)
    return _ENGINES[key]


class _Progress:
    """Says how far one task is, in the executor's stderr, every few seconds."""

    def __init__(self, every_s: float = 5.0) -> None:
        self._every_s, self._count, self._start = every_s, 0, time.monotonic()
        self._next = self._start + every_s

    def one_more(self) -> None:
        self._count += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every_s
            speed = self._count / (now - self._start)
            print(f"featurize: {self._count:,} photos by this task, {speed:.0f}/s", file=sys.stderr, flush=True)
