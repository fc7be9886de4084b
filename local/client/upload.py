"""Uploads a folder with one folder of photos per variety as a drop, and says when the drop is complete.

It must not know Airflow. Endpoint, region and keys come from the standard AWS environment.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

from fruits_contract import layout

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
AT_ONCE = 16
LONGEST_KEY_BYTES = 1024

Progress = Callable[[int, int], None]


class CannotUpload(ValueError):
    """The folder is not one that can be a drop; the message names it, the reason and the way out."""


@dataclass(frozen=True)
class UploadSummary:
    """What an upload did.

    Parameters
    ----------
    uploaded, unchanged
        Photos sent, and photos that the bucket held already with the same bytes.
    ignored
        Files that are no photos of a variety: other suffixes, hidden ones, and what lies deeper than its folder.
    """

    drop: str
    varieties: int
    photos: int
    uploaded: int
    unchanged: int
    ignored: int


def upload_drop(folder: Path, *, bucket: str, drop: str, on_progress: Progress = lambda done, total: None) -> UploadSummary:
    """Upload the photos below `folder` to the drop; photos that the drop holds beside these stay.

    The marker `_READY` is put last. When something is to be sent to a drop that has it already, it is taken away
    first, so that nobody plans a batch of half a drop.

    Raises
    ------
    CannotUpload
        Before anything has been sent.
    """
    layout.check_name(drop, what="the drop's name")
    photos, ignored = find_photos(folder, drop=drop)
    store = S3Store(bucket)
    there = {item["path"]: item["e_tag"] for page in obstore.list(store, prefix=layout.raw_prefix(drop)) for item in page}

    def is_new(key: str) -> bool:
        # The ETag of an object put in one part is its MD5, except with KMS keys: then everything is sent again.
        return key not in there or there[key] != f'"{hashlib.md5(photos[key].read_bytes()).hexdigest()}"'

    with ThreadPoolExecutor(AT_ONCE) as pool:
        new = [key for key, needed in zip(photos, pool.map(is_new, photos), strict=True) if needed]
        done = len(photos) - len(new)
        on_progress(done, len(photos))
        if new and layout.ready(drop) in there:
            obstore.delete(store, layout.ready(drop))
        for count, _ in enumerate(pool.map(lambda key: obstore.put(store, key, photos[key].read_bytes()), new), done + 1):
            on_progress(count, len(photos))
    if new or layout.ready(drop) not in there:
        obstore.put(store, layout.ready(drop), b"")
    varieties = {layout.variety_of(key) for key in photos}
    return UploadSummary(drop, len(varieties), len(photos), len(new), len(photos) - len(new), ignored)


def find_photos(folder: Path, *, drop: str) -> tuple[dict[str, Path], int]:
    """Return the photos of every variety by key, and the number of files left out."""
    if not folder.is_dir():
        raise CannotUpload(f"{folder} is not a folder; expected one that holds a folder of photos per variety")
    varieties = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not varieties:
        is_variety = any(_is_photo(path) for path in folder.iterdir())
        hint = f"; it is a variety itself: give {folder.parent}" if is_variety else ""
        raise CannotUpload(
            f"{folder} holds no folders; expected a folder per variety with photos in it, e.g. 'Apple Red/0_100.jpg'{hint}"
        )
    photos = {
        _key(drop, variety.name, path): path for variety in varieties for path in sorted(variety.iterdir()) if _is_photo(path)
    }
    if not photos:
        deeper = sorted({path.parent.parent for path in folder.glob("*/*/*") if _is_photo(path)})
        hint = f"; photos lie one folder deeper: try {deeper[0]}" if deeper else ""
        raise CannotUpload(f"the {len(varieties)} folders in {folder} hold no photos ({', '.join(sorted(IMAGE_SUFFIXES))}){hint}")
    files = sum(path.is_file() for path in folder.rglob("*"))
    return photos, files - len(photos)


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _key(drop: str, variety: str, path: Path) -> str:
    key = layout.raw_image(drop, variety, path.name)
    # Control characters and '\' do not come back from every S3 server and client as they were sent.
    odd = sorted({character for character in key if not character.isprintable() or character == "\\"})
    if odd:
        raise CannotUpload(f"{path} cannot be a key: its name holds {', '.join(map(ascii, odd))}; rename it")
    if len(key.encode()) > LONGEST_KEY_BYTES:
        raise CannotUpload(f"{path} cannot be a key: {len(key.encode())} bytes, S3 takes {LONGEST_KEY_BYTES}; rename it")
    return key
