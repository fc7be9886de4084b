"""From a list of photos to files of features.

A task has one core, so one thread of it decodes and runs the network, and that thread never waits for S3: others, which only
wait, fetch ahead of it, within bounds in photos and in bytes. It must not know keys or manifests: photos that cannot be read are
returned as rejects, and any other error is Spark's to retry.
"""

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
import obstore
import pyarrow as pa
from obstore.store import S3Store
from pyspark import Broadcast, SparkContext, TaskContext

from fruits import engine_trial
from fruits.engine_trial import Trial
from fruits.engines import FEATURE_COUNT, Engine, engine_name, open_engine
from fruits.errors import UnreadableImage
from fruits.photo_list import Part, Photo, read_photos
from fruits.storage import Storage
from fruits.vision import SIZE_PX, decode
from fruits_contract import columns
from fruits_contract.manifest import WrittenFile

READERS = 64  # concurrent GETs of one task: 2,000 photos/s at 30 ms per object, more than any engine needs
AHEAD_PHOTOS = 512  # fetched and not yet decoded, at most
AHEAD_BYTES = 32 * 2**20  # stop fetching at so many bytes of them
ROWS_OUT = 3072  # rows of one Arrow batch and row group: 16 MB, which fit_pca reads one at a time

T = TypeVar("T")
R = TypeVar("R")

SCHEMA = columns.arrow_schema(columns.FEATURES)


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


@dataclass(frozen=True)
class Done:
    """What one task left: its file, if it had a readable photo, and a row (`columns.REJECTS`) per unreadable one."""

    file: WrittenFile | None
    rejects: list[dict[str, Any]]


def choose_engine(context: SparkContext, sample: Callable[[], list[Photo]], *, bucket: str, extractor: Extractor) -> Choice:
    """Return the requested engine; for `auto`, the fastest by a trial on photos of the batch, on a worker.

    One worker decides for all, so that a run's features come from one engine even where the nodes' CPUs differ.
    """
    if extractor.engine != "auto":
        return Choice(extractor, engine_name(extractor.engine), "requested", ())
    photos = sample()

    def on_worker(_: Any) -> list[Trial]:
        read = _reader(S3Store(bucket))
        images = []
        for photo in photos:
            with contextlib.suppress(UnreadableImage):
                images.append(decode(read(photo)[0])[0])
        return engine_trial.try_engines(
            engine_trial.CANDIDATES, np.array(images), open_engine=lambda name: open_engine(name, extractor.model.value)
        )

    trials = tuple(context.parallelize([0], 1).map(on_worker).first())
    chosen, why = engine_trial.choose(trials)
    return Choice(replace(extractor, engine=chosen.engine), chosen.name, why, trials)


def featurize(
    context: SparkContext, parts: Sequence[Part], *, bucket: str, batch: str, folder: str, extractor: Extractor
) -> list[Done]:
    """Turn the photos of the list `batch` into Parquet files of features (`columns.FEATURES`) below `folder`, one per part.

    A task writes its file by itself, and it counts once the driver names it: a task that is repeated, or a copy of a slow one,
    writes a file of another name. The driver deletes those that nobody names.
    """
    if not parts:
        return []

    def run(part: Part) -> Done:
        storage, task = Storage(bucket), TaskContext.get()
        assert task is not None, "Spark calls this in a task"
        rejects: list[dict[str, Any]] = []
        features = features_of(
            read_photos(storage, batch, start=part.start, stop=part.stop),
            read=_reader(storage.store),
            engine=_engine_of_worker(extractor),
            digest=extractor.digest,
            reject=rejects.extend,
        )
        key = f"{folder}part-{part.number:05d}-{task.taskAttemptId()}.parquet"
        return Done(storage.write_parquet(key, features, SCHEMA), rejects)

    return context.parallelize(parts, len(parts)).map(run).collect()


def features_of(
    photos: Iterable[Photo],
    *,
    read: Callable[[Photo], tuple[bytes, str]],
    engine: Engine,
    digest: str,
    reject: Callable[[list[dict[str, Any]]], None],
) -> Iterator[pa.RecordBatch]:
    """Read, decode and run the network over `photos`, as Arrow batches of `columns.FEATURES`.

    `read` returns a photo's bytes and ETag, or raises `UnreadableImage`; `reject` is called with the row of each such photo.
    """
    image = np.empty((engine.batch_images, SIZE_PX, SIZE_PX, 3), np.float32)
    rows: list[dict[str, Any]] = []
    features = np.empty((ROWS_OUT, FEATURE_COUNT), np.float32)
    waiting = 0  # decoded images at the start of `image`, those of the last rows
    progress = _Progress()

    def fetch(photo: Photo) -> tuple[bytes, str] | UnreadableImage:
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


def _reader(store: S3Store) -> Callable[[Photo], tuple[bytes, str]]:
    def read(photo: Photo) -> tuple[bytes, str]:
        try:
            answer = obstore.get(store, photo["path"])
        except FileNotFoundError as error:
            raise UnreadableImage("missing", "the object was deleted after the batch was planned") from error
        return answer.bytes().to_bytes(), (answer.meta["e_tag"] or "").strip('"')

    return read


def _to_arrow(rows: list[dict[str, Any]], features: np.ndarray) -> pa.RecordBatch:
    offsets = np.arange(0, features.size + 1, FEATURE_COUNT, dtype=np.int32)
    arrays = [
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(features.reshape(-1)))
        if name == "features"
        else pa.array([row[name] for row in rows], type=SCHEMA.field(name).type)
        for name in SCHEMA.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


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
