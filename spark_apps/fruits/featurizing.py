"""From a list of photos to a table of features.

A task has one core, so one thread of it decodes and runs the network, and that thread never waits for S3: others, which only
wait, fetch ahead of it, within bounds in photos and in bytes. It must not know keys or manifests: photos that cannot be read are
returned as rejects, and any other error is Spark's to retry.
"""

import contextlib
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
import obstore
import pyarrow as pa
from obstore.store import S3Store
from pyspark import Accumulator, AccumulatorParam, Broadcast
from pyspark.sql import DataFrame

from fruits import choosing
from fruits.choosing import Trial
from fruits.engines import FEATURES, Engine, engine_name, open_engine
from fruits.errors import UnreadableImage
from fruits.vision import SIZE_PX, decode
from fruits_contract import columns

READERS = 64  # concurrent GETs of one task: 2,000 photos/s at 30 ms per object, more than any engine needs
AHEAD_PHOTOS = 512  # fetched and not yet decoded, at most
AHEAD_BYTES = 32 * 2**20  # stop fetching at so many bytes of them
ROWS_OUT = 512  # rows of one Arrow batch handed back to Spark: 2.6 MB

# How the photos are dealt to tasks (`tasks_for`).
BYTES_LIKE_A_PHOTO = 600_000  # fetching and decoding so many bytes takes as long as the network's work on one photo
FULL_TASK = 25_000  # photos of a task of a large batch: a file of 128 MB, and minutes of work
SMALL_TASK = 1_024  # fewer photos than this are not worth a task's start of half a second
WAVES = 4  # tasks per core of a middling batch: a core that is slower than the others leaves its last task to them

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


@dataclass(frozen=True)
class Choice:
    """The engine that a run uses, why, and what was tried for it."""

    extractor: Extractor
    name: str
    why: str
    trials: tuple[Trial, ...]

    def as_figures(self) -> dict[str, Any]:
        """Return the choice as the manifest says it."""
        return {"name": self.name, "why": self.why, "trials": [asdict(trial) for trial in self.trials]}


class _Rows(AccumulatorParam[list[dict[str, Any]]]):
    """Collects the rejects: few and small, and counted once per finished task of a write."""

    def zero(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return []

    def addInPlace(self, value1: list[dict[str, Any]], value2: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return value1 + value2


def choose_engine(batch: DataFrame, *, bucket: str, extractor: Extractor) -> Choice:
    """Return the engine that was asked for; `auto` and reduced precision are first tried on photos of the batch, on a worker.

    One worker decides for all, so that a run's features come from one engine even where the nodes' CPUs differ.

    Raises
    ------
    EngineUnusable
        When the engine that was asked for does not pass the trial.
    """
    asked = extractor.engine
    if asked != "auto" and asked not in choosing.REDUCED_PRECISION:
        return Choice(extractor, engine_name(asked), "asked for", ())
    sample = batch.orderBy("etag").limit(choosing.SAMPLE_PHOTOS).collect()

    def on_worker(_: Any) -> list[Trial]:
        def opened(name: str) -> Engine:
            return open_engine(name, extractor.model.value)

        read = _reader(S3Store(bucket))
        images = []
        for photo in sample:
            with contextlib.suppress(UnreadableImage):
                images.append(decode(read(photo.asDict())[0])[0])
        candidates = choosing.CANDIDATES if asked == "auto" else (asked,)
        return choosing.try_engines(candidates, np.array(images), open_engine=opened)

    trials = tuple(batch.sparkSession.sparkContext.parallelize([asked], 1).map(on_worker).first())
    chosen, why = choosing.choose(trials, asked=asked)
    return Choice(replace(extractor, engine=chosen.engine), chosen.name, why, trials)


def featurize(
    batch: DataFrame, *, bucket: str, extractor: Extractor, tasks: int
) -> tuple[DataFrame, Accumulator[list[dict[str, Any]]]]:
    """Turn the photos of `batch` (`columns.BATCH`) into features (`columns.FEATURES`), in `tasks` tasks.

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

    return batch.repartition(tasks).mapInArrow(run, columns.ddl(columns.FEATURES)), rejects


def tasks_for(photos: int, size_bytes: int, *, cores: int) -> int:
    """Return into how many tasks a batch of so many photos and bytes is dealt, a multiple of `cores` once it is worth that.

    Large batches get tasks whose files have 64 to 128 MB, at least two per core; smaller ones up to `WAVES` tasks per core.
    """
    per_core = (photos + size_bytes / BYTES_LIKE_A_PHOTO) / cores
    if per_core >= FULL_TASK:
        return cores * max(2, math.ceil(per_core / FULL_TASK))
    if per_core >= SMALL_TASK:
        return cores * min(WAVES, int(per_core // SMALL_TASK))
    return max(1, min(cores, photos))


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
    image = np.empty((engine.batch_images, SIZE_PX, SIZE_PX, 3), np.float32)
    rows: list[dict[str, Any]] = []
    features = np.empty((ROWS_OUT, FEATURES), np.float32)
    waiting = 0  # decoded images at the start of `image`, those of the last rows
    progress = _Progress()

    def fetch(photo: dict[str, Any]) -> tuple[bytes, str] | UnreadableImage:
        try:
            return read(photo)
        except UnreadableImage as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        for photo, fetched in run_ahead(pool, fetch, photos, size=lambda photo: photo["size_bytes"] or 0):
            progress.one_more()
            row = {name: photo[name] for name in ("path", "etag", "label", "contributor")} | {"extractor": digest}
            try:
                if isinstance(fetched, UnreadableImage):
                    raise fetched
                content, row["etag"] = fetched
                _, row["width"], row["height"] = decode(content, out=image[waiting])
            except UnreadableImage as error:
                reject([row | {"reason": error.reason, "detail": str(error)}])
                continue
            rows.append(row)
            waiting += 1
            if waiting == len(image) or len(rows) == ROWS_OUT:
                features[len(rows) - waiting : len(rows)] = engine.features(image[:waiting])
                waiting = 0
            if len(rows) == ROWS_OUT:
                yield _to_arrow(rows, features)
                rows, features = [], np.empty_like(features)
    if waiting:
        features[len(rows) - waiting : len(rows)] = engine.features(image[:waiting])
    if rows:
        yield _to_arrow(rows, features[: len(rows)])


def run_ahead(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], *, size: Callable[[T], int]
) -> Iterator[tuple[T, R]]:
    """Yield each item and `function(item)`, in order, while the next ones are under way.

    At most `AHEAD_PHOTOS` items wait or are under way, and none is added once they have `AHEAD_BYTES` by their `size`. They are
    refilled in bursts, when half of both is used up: one GET at a time costs the S3 client and server twice the CPU.
    """
    coming = iter(items)
    waiting: deque[tuple[T, int, Future[R]]] = deque()
    held = 0
    while True:
        if len(waiting) <= AHEAD_PHOTOS // 2 and held <= AHEAD_BYTES // 2:
            for item in coming:
                waiting.append((item, size(item), pool.submit(function, item)))
                held += size(item)
                if len(waiting) >= AHEAD_PHOTOS or held >= AHEAD_BYTES:
                    break
        if not waiting:
            return
        first, its_size, future = waiting.popleft()
        held -= its_size
        yield first, future.result()


def _reader(store: S3Store) -> Callable[[dict[str, Any]], tuple[bytes, str]]:
    def read(photo: dict[str, Any]) -> tuple[bytes, str]:
        try:
            answer = obstore.get(store, photo["path"])
        except FileNotFoundError as error:
            raise UnreadableImage("missing", "the object was deleted after the batch was planned") from error
        return answer.bytes().to_bytes(), (answer.meta["e_tag"] or "").strip('"')

    return read


def _to_arrow(rows: list[dict[str, Any]], features: np.ndarray) -> pa.RecordBatch:
    offsets = np.arange(0, features.size + 1, FEATURES, dtype=np.int32)
    arrays = [
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(features.reshape(-1)))
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
