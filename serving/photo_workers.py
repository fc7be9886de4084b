"""Decodes photos and runs the network in worker processes: a photo that hangs or crashes takes a worker with it and no more."""

import asyncio
import io
import logging
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as TaskTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pebble import ProcessExpired, ProcessPool
from PIL import Image

from fruits.colors import colors_of
from fruits.engines import Engine, open_engine
from fruits.errors import UnreadableImage
from fruits.vision import FORMATS, SIZE_PX, copy_of, decode
from serving.metrics import Metrics
from serving.problems import Problem
from serving.settings import Settings

log = logging.getLogger(__name__)
STOP_LIMIT_S = 5
COPY_PX = 1024  # as the page sends photos
COPY_QUALITY = 92
# The last of them: a pool whose worker died while it had nothing to do takes no more tasks.
WORKER_DIED = (ProcessExpired, BrokenProcessPool, RuntimeError)


T = TypeVar("T")


class WorkersFailed(RuntimeError):
    """The workers cannot be started; the message has the reason."""


@dataclass(frozen=True)
class PhotoFeatures:
    """What a worker finds in a photo: features (1280,) and colors (192,), float32, and the milliseconds that it took."""

    features: np.ndarray
    colors: np.ndarray
    decode_ms: float
    network_ms: float


@dataclass(frozen=True)
class Unreadable:
    """Why a photo cannot be read: a reason code of `fruits.vision`, and the detail."""

    reason: str
    detail: str


class PhotoWorkers:
    """Some processes, each with the network loaded, and each in a pool of its own.

    The workers of one pool share a lock, and one that is killed while it holds the lock would stop the others.

    Parameters
    ----------
    model
        The bytes of the feature extractor.

    Raises
    ------
    WorkersFailed
        A worker died before its first photo; none is left.
    """

    def __init__(self, settings: Settings, model: bytes, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._model = model
        self._waiting = 0
        self._pools = [self._open_pool() for _ in range(settings.workers)]
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for number in range(settings.workers):
            self._free.put_nowait(number)
        # A pool starts its worker with the first task; the first client should not wait for that.
        try:
            for future in [pool.schedule(_warm_up) for pool in self._pools]:
                future.result()
        except WORKER_DIED as error:
            self.stop()
            raise WorkersFailed(f"a worker died while loading the network ({error}); is there enough memory?") from error

    def _open_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=1,
            initializer=_start_worker,
            initargs=(self._model, self._settings.max_pixels),
            # Not forked from this process, which has threads.
            context=multiprocessing.get_context("forkserver"),
        )

    async def features_of(self, content: bytes) -> PhotoFeatures:
        """Return the features of a photo.

        Raises
        ------
        Problem
            The photo cannot be read, takes too long, or too many others are waiting.
        """
        return await self._result_of(_features_of, content)

    async def clean_copy_of(self, content: bytes) -> bytes:
        """Re-encode a photo as JPEG without metadata, at most `COPY_PX` on a side; raises like `features_of`."""
        return await self._result_of(_clean_copy_of, content)

    async def _result_of(self, read: Callable[[bytes], T | Unreadable], content: bytes) -> T:
        if self._waiting >= self._settings.max_waiting:
            raise Problem(503, "overloaded", f"{self._waiting} photos are waiting already", retry_after_s=1)
        self._waiting += 1
        self._metrics.waiting.set(self._waiting)
        try:
            found = await self._run(read, content)
        finally:
            self._waiting -= 1
            self._metrics.waiting.set(self._waiting)
        if isinstance(found, Unreadable):
            raise Problem(422, found.reason, found.detail)
        return found

    async def _run(self, read: Callable[[bytes], T | Unreadable], content: bytes) -> T | Unreadable:
        try:
            return await self._attempt(read, content)
        except WORKER_DIED as error:
            # The worker may have been killed for another reason than this photo.
            log.warning("a worker died; trying once more: %s", error)
        try:
            return await self._attempt(read, content)
        except WORKER_DIED as error:
            raise Problem(422, "worker_died", "two workers died while they read this photo") from error

    async def _attempt(self, read: Callable[[bytes], T | Unreadable], content: bytes) -> T | Unreadable:
        limit_s = self._settings.photo_timeout_s
        number = await self._free.get()
        try:
            future = self._pools[number].schedule(read, args=(content,), timeout=limit_s)
            found: T | Unreadable = await asyncio.wrap_future(future)
        except TaskTimeout as error:
            self._metrics.worker_deaths.inc()
            raise Problem(422, "timeout", f"reading this photo took more than {limit_s:g} s") from error
        except WORKER_DIED:
            await self._replace(number)
            raise
        finally:
            self._free.put_nowait(number)
        return found

    async def _replace(self, number: int) -> None:
        """Start another worker, in a new pool."""
        self._metrics.worker_deaths.inc()
        broken, self._pools[number] = self._pools[number], self._open_pool()
        broken.stop()
        # Only `join` ends the worker that the broken pool may have started in place of the dead one, and closes the pipes.
        await asyncio.to_thread(broken.join)

    def stop(self) -> None:
        """End the workers; tasks under way are waited for."""
        for pool in self._pools:
            pool.close()
        for pool in self._pools:
            try:
                pool.join(timeout=STOP_LIMIT_S)
            except TimeoutError:
                pool.stop()
                pool.join()


# ---- in a worker

_engine: Engine | None = None
_max_pixels = 0
_image = np.empty((1, SIZE_PX, SIZE_PX, 3), np.float32)


def _start_worker(model: bytes, max_pixels: int) -> None:
    global _engine, _max_pixels
    _engine, _max_pixels = open_engine("litert", model), max_pixels


def _warm_up() -> None:
    """Run the network once, which allocates its memory."""
    assert _engine is not None, "the pool calls _start_worker first"
    _engine.features(np.zeros_like(_image))


def _features_of(content: bytes) -> PhotoFeatures | Unreadable:
    assert _engine is not None, "the pool calls _start_worker first"
    began = time.perf_counter()
    try:
        _check_size(content)
        decode(content, out=_image[0])
    except UnreadableImage as error:
        return Unreadable(error.reason, str(error))
    decoded = time.perf_counter()
    features = _engine.features(_image)[0]
    ended = time.perf_counter()
    return PhotoFeatures(features, colors_of(_image[0]), (decoded - began) * 1000, (ended - decoded) * 1000)


def _clean_copy_of(content: bytes) -> bytes | Unreadable:
    copy = io.BytesIO()
    try:
        _check_size(content)
        copy_of(content, longest_px=COPY_PX).save(copy, "JPEG", quality=COPY_QUALITY)
    except UnreadableImage as error:
        return Unreadable(error.reason, str(error))
    return copy.getvalue()


def _check_size(content: bytes) -> None:
    """Refuse a photo of more pixels than the service allows, by its header; whatever else is wrong with it is for `decode`."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as photo:
            width, height = photo.size
    except Exception:
        return
    if width * height > _max_pixels:
        raise UnreadableImage("too_many_pixels", f"{width} x {height} is over {_max_pixels:,} pixels")
