"""Uploads a folder with one folder of photos per variety as a drop, and announces it when it is complete.

Endpoint, region and keys come from the standard AWS environment.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3
import obstore
from obstore.store import S3Store

from fruits_contract import layout

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
AT_ONCE = 16
MD5 = "md5"  # of a photo's bytes, in the metadata of its object
LISTED_NAMES = 20


class CannotUpload(ValueError):
    """The folder cannot be a drop; the message names it, the reason and what to do."""


@dataclass(frozen=True)
class UploadSummary:
    """What an upload did.

    Parameters
    ----------
    uploaded, unchanged
        Photos sent, and photos that the bucket held already with the same bytes.
    ignored
        Files that are no photos of a variety: other suffixes, hidden ones, and those in deeper folders.
    """

    drop: str
    varieties: int
    photos: int
    uploaded: int
    unchanged: int
    ignored: int


def upload_drop(folder: Path, *, bucket: str, drop: str, on_progress: Callable[[int, int], None] | None = None) -> UploadSummary:
    """Upload the photos below `folder` to the drop; other photos of the drop stay.

    The marker `_READY` is put last. Before a drop that has it changes, it is deleted, so that no batch is planned on half a drop.

    Raises
    ------
    CannotUpload
        Before anything has been sent.
    """
    layout.check_name(drop, what="the drop's name")
    photos, ignored = find_photos(folder, drop=drop)
    store = S3Store(bucket)
    client = boto3.Session().client("s3")
    existing = list_drop(bucket, drop)

    def is_new(key: str) -> bool:
        # The ETag of an object put in one part is its MD5, except with KMS keys: then its metadata, a HEAD, have it.
        if key not in existing:
            return True
        digest = _md5(photos[key].read_bytes())
        if existing[key] == f'"{digest}"':
            return False
        return client.head_object(Bucket=bucket, Key=key)["Metadata"].get(MD5) != digest

    def send(key: str) -> None:
        content = photos[key].read_bytes()
        obstore.put(store, key, content, attributes={MD5: _md5(content)}, use_multipart=False)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        new = [key for key, needed in zip(photos, pool.map(is_new, photos), strict=True) if needed]
        unchanged = len(photos) - len(new)
        if new and layout.ready(drop) in existing:
            obstore.delete(store, layout.ready(drop))
        sent = pool.map(send, new)
        for count, _ in enumerate(sent, unchanged + 1):
            if on_progress:
                on_progress(count, len(photos))
    if new or layout.ready(drop) not in existing:
        obstore.put(store, layout.ready(drop), b"")
    varieties = {layout.variety_of(key) for key in photos}
    return UploadSummary(drop, len(varieties), len(photos), len(new), unchanged, ignored)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def list_drop(bucket: str, drop: str) -> dict[str, str]:
    """Return the ETag of every object of the drop, `_READY` included."""
    # boto3, because obstore cannot list keys with control characters, which others may have uploaded. A session of its own,
    # because boto3's default one keeps the keys of its first use in the process.
    pages = boto3.Session().client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=layout.raw_prefix(drop))
    return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}


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
        layout.raw_image(drop, variety.name, path.name): path
        for variety in varieties
        for path in sorted(variety.iterdir())
        if _is_photo(path)
    }
    if not photos:
        deeper = sorted({path.parent.parent for path in folder.glob("*/*/*") if _is_photo(path)})
        hint = f"; photos lie one folder deeper: try {deeper[0]}" if deeper else ""
        raise CannotUpload(f"the {len(varieties)} folders in {folder} hold no photos ({', '.join(sorted(IMAGE_SUFFIXES))}){hint}")
    _check_names(sorted({path.parent for path in photos.values()}) + list(photos.values()))
    files = sum(path.is_file() for path in folder.rglob("*"))
    return photos, files - len(photos)


def _check_names(paths: list[Path]) -> None:
    """Raise `CannotUpload` listing the names that do not come back from every S3 server and client as they were sent."""
    bad = [path for path in paths if "\\" in path.name or not path.name.isprintable()]
    if bad:
        names = "".join(f"\n  {str(path)!r}" for path in bad[:LISTED_NAMES])
        more = f"\n  and {len(bad) - LISTED_NAMES} more" if len(bad) > LISTED_NAMES else ""
        raise CannotUpload(
            "names with control characters, backslashes or bytes that are not UTF-8 cannot be keys; rename or remove:"
            + names
            + more
        )


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
