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
from fruits.shard_reader import Content, groups_of, members_of, read_span, span_of

READERS = 64  # concurrent GETs of one task: 2,000 photos/s at 30 ms per object, more than any engine needs
AHEAD_PHOTOS = 512  # fetched and not yet decoded, at most
AHEAD_BYTES = 32 * 2**20  # stop fetching at so many bytes of them
MAX_BYTES = 100_000_000  # of one photo: a JPEG of 100 megapixels in the best quality has less
# S3 allows control characters, backslashes, empty segments, '.' and '..' in a key; object_store, under obstore, does not.
UNREADABLE_KEY = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.{0,2}(?:/|$)")

T = TypeVar("T")
R = TypeVar("R")


def read_photo(store: S3Store, photo: Photo) -> Content:
    """Return a photo's bytes and ETag; of a member of a shard, its MD5.

    Raises
    ------
    UnreadableImage
        With a reason that is not about what the bytes are, e.g. `missing`; any other error is Spark's to retry.
    """
    (found,) = read_group(store, [photo])
    if isinstance(found, UnreadableImage):
        raise found
    return found


def read_group(store: S3Store, group: list[Photo]) -> Iterable[Content | UnreadableImage]:
    """Read what one GET returns (`groups_of`); return bytes and ETag of each photo, or why it cannot be read."""
    refusals = [_refusal(photo) for photo in group]
    if all(refusals):
        return [refusal for refusal in refusals if refusal]
    try:
        if not group[0]["shard"]:
            return [_read_object(store, group[0]["path"])]
        span = read_span(store, group)
    except UnreadableImage as error:
        return [error for _ in group]
    return (refusal or found for refusal, found in zip(refusals, members_of(group, span), strict=True))


def _refusal(photo: Photo) -> UnreadableImage | None:
    """Return why a photo is not even fetched."""
    if UNREADABLE_KEY.search(photo["path"]):
        return UnreadableImage(
            "unreadable_key",
            f"{photo['path']!r} holds a control character, a backslash, or an empty, '.' or '..' segment; rename it",
        )
    if photo["shard"] and photo["offset"] < 0:
        return UnreadableImage(
            "damaged_shard", "no whole tar file: the photos before the damage are taken; pack and upload it again"
        )
    # Of an object not the planned size: it may have been replaced.
    if photo["shard"] and photo["size_bytes"] > MAX_BYTES:
        return _too_many_bytes(photo["size_bytes"])
    return None


def _read_object(store: S3Store, key: str) -> Content:
    try:
        response = obstore.get(store, key)
    except FileNotFoundError as error:
        raise UnreadableImage("missing", "the object was deleted after the batch was planned") from error
    # Its bytes arrive as they are asked for.
    if response.meta["size"] > MAX_BYTES:
        raise _too_many_bytes(response.meta["size"])
    return response.bytes().to_bytes(), (response.meta["e_tag"] or "").strip('"')


def _too_many_bytes(size_bytes: int) -> UnreadableImage:
    return UnreadableImage("too_many_bytes", f"{size_bytes:,} bytes; at most {MAX_BYTES:,} are read")


def read_ahead(
    photos: Iterable[Photo], read: Callable[[list[Photo]], Iterable[Content | UnreadableImage]]
) -> Iterator[tuple[Photo, Content | UnreadableImage]]:
    """Yield each photo, in order, with what `read` returns for it as one of a group (`groups_of`)."""
    with ThreadPoolExecutor(READERS) as pool:
        for group, results in run_ahead(pool, read, groups_of(photos), size=span_of):
            yield from zip(group, results, strict=True)


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
