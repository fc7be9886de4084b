"""Reads photos from S3 ahead of the thread that decodes them, within bounds in photos and in bytes."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import obstore
from obstore.store import S3Store

from fruits.errors import UnreadableImage
from fruits.photo_list import Photo

READERS = 64  # concurrent GETs of one task: 2,000 photos/s at 30 ms per object, more than any engine needs
AHEAD_PHOTOS = 512  # fetched and not yet decoded, at most
AHEAD_BYTES = 32 * 2**20  # stop fetching at so many bytes of them
MAX_BYTES = 100_000_000  # of one photo: a JPEG of 100 megapixels in the best quality has less
# S3 allows control characters, backslashes, empty segments, '.' and '..' in a key; object_store, under obstore, does not.
UNREADABLE_KEY = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.{0,2}(?:/|$)")

T = TypeVar("T")
R = TypeVar("R")


def read_photo(store: S3Store, photo: Photo) -> tuple[bytes, str]:
    """Return a photo's bytes and ETag.

    Raises
    ------
    UnreadableImage
        With reason `unreadable_key`, `missing` or `too_many_bytes`; any other error is Spark's to retry.
    """
    key = photo["path"]
    if UNREADABLE_KEY.search(key):
        raise UnreadableImage(
            "unreadable_key",
            f"{key!r} holds a control character, a backslash, or an empty, '.' or '..' segment; rename the object",
        )
    try:
        response = obstore.get(store, key)
    except FileNotFoundError as error:
        raise UnreadableImage("missing", "the object was deleted after the batch was planned") from error
    # Not the planned size: the object may have been replaced. Its bytes arrive as they are asked for.
    if response.meta["size"] > MAX_BYTES:
        raise UnreadableImage("too_many_bytes", f"{response.meta['size']:,} bytes; at most {MAX_BYTES:,} are read")
    return response.bytes().to_bytes(), (response.meta["e_tag"] or "").strip('"')


def read_ahead(
    photos: Iterable[Photo], read: Callable[[Photo], tuple[bytes, str]]
) -> Iterator[tuple[Photo, tuple[bytes, str] | UnreadableImage]]:
    """Yield each photo, in order, with what `read` returns for it, or the `UnreadableImage` that it raises."""

    def read_or_refuse(photo: Photo) -> tuple[bytes, str] | UnreadableImage:
        try:
            return read(photo)
        except UnreadableImage as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        yield from run_ahead(pool, read_or_refuse, photos, size=lambda photo: photo["size_bytes"] or 0)


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
