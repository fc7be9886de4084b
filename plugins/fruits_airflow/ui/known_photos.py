"""Photos of known varieties, which a reviewer compares with: those that are in the bucket still, and that nobody contributed."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from fruits_airflow.bucket import Bucket, ObjectInfo
from fruits_airflow.packed_photos import packed_photos, shards_of
from fruits_contract import layout

PHOTOS = 3
DROPS = 5  # each is a request per variety
LARGEST_BYTES = 2_000_000
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class KnownPhotos:
    """Some photos of one variety: addresses relative to the page of the review."""

    variety: str
    photos: tuple[str, ...]


def known_photos(bucket: Bucket, varieties: Sequence[str]) -> list[KnownPhotos]:
    """Return up to `PHOTOS` photos of each variety, of the newest drops: daily ones first, then the others by name."""
    names = sorted(bucket.folders(layout.RAW), key=lambda drop: (bool(DAY.fullmatch(drop)), drop), reverse=True)
    found = []
    packed = {drop: shards_of(bucket, drop) for drop in names[:DROPS]}
    for variety in varieties:
        keys = itertools.chain.from_iterable(_photos(bucket, drop, variety, among=packed[drop]) for drop in packed)
        addresses = [f"review/known/{quote(key.removeprefix(layout.RAW))}" for key in itertools.islice(keys, PHOTOS)]
        found.append(KnownPhotos(variety, tuple(addresses)))
    return found


def is_known_photo(key: str) -> bool:
    """Return whether a key is that of a JPEG in a variety's folder that nobody contributed."""
    parts = key.split("/")
    is_plain = len(parts) == 4 and key.isprintable() and all(part.strip(".") for part in parts)
    return is_plain and key.lower().endswith((".jpg", ".jpeg")) and not layout.contribution_of(key)


def _photos(bucket: Bucket, drop: str, variety: str, *, among: list[ObjectInfo]) -> Iterator[str]:
    objects = bucket.objects(layout.raw_image(drop, variety, ""))
    for item in itertools.chain(objects, packed_photos(bucket, among, drop=drop, variety=variety)):
        if is_known_photo(item.key) and item.size_bytes <= LARGEST_BYTES:
            yield item.key
