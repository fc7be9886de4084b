"""Small pictures of photos for the report: read from the bucket in Spark tasks, and made anew, so that no EXIF is left."""

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from pyspark import SparkContext

from fruits.errors import ShardReplaced, UnreadableImage
from fruits.packed_photos import places_of
from fruits.photo_list import Photo
from fruits.photo_reader import read_photo
from fruits.storage import Storage
from fruits.vision import decode

SIZE_PX = 48
QUALITY = 60
READERS = 8  # photos of a task in memory at a time


def thumbnail(content: bytes) -> bytes:
    """Return a photo as WebP of `SIZE_PX` squared, without EXIF.

    Raises
    ------
    UnreadableImage
        As `fruits.vision.decode`.
    """
    image, _, _ = decode(content, size_px=SIZE_PX)
    pixels = ((image + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()


def thumbnails_of(context: SparkContext, paths: Sequence[str], *, bucket: str, max_bytes: int) -> dict[str, bytes]:
    """Return the thumbnails of photos by path, up to `max_bytes` of them together.

    A photo that is missing, as raw photos are after some days, or that cannot be read any more, has none.
    """

    def make(part: Iterable[list[Photo]]) -> Iterator[tuple[str, bytes]]:
        storage = Storage(bucket)

        def make_one(places: list[Photo]) -> tuple[str, bytes]:
            for place in places:
                with contextlib.suppress(UnreadableImage, ShardReplaced):
                    content, _ = read_photo(storage.store, place)
                    return place["path"], thumbnail(content)
            return places[0]["path"], b""

        with ThreadPoolExecutor(READERS) as pool:
            yield from pool.map(make_one, part)

    tasks = max(1, min(len(paths) // 128, 2 * context.defaultParallelism))
    kept: dict[str, bytes] = {}
    total = 0
    places = places_of(Storage(bucket), paths)
    for path, content in context.parallelize(places, tasks).mapPartitions(make).collect() if paths else []:
        total += len(content)
        if content and total <= max_bytes:
            kept[path] = content
    return kept
