"""Uploads a folder with one folder of photos per variety as a drop, and announces it when it is complete.

Endpoint, region and keys come from the standard AWS environment.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import boto3
import obstore
from obstore.store import S3Store

from fruits_contract import layout, shards
from local.client.held_photos import held_photos
from local.client.pack import check_packable, next_number, pack

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
AT_ONCE = 16
PARTS_AT_ONCE = 4  # of one shard, 32 MB each
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


def upload_drop(
    folder: Path, *, bucket: str, drop: str, is_packed: bool = False, on_progress: Callable[[int, int], None] | None = None
) -> UploadSummary:
    """Upload the photos below `folder` to the drop; other photos of the drop stay.

    The marker `_READY` is put last. Before a drop that has it changes, it is deleted, so that no batch is planned on half a drop.

    Parameters
    ----------
    is_packed
        Whether new photos are sent in shards. Photos that the drop has as objects of their own stay such.

    Raises
    ------
    CannotUpload, CannotPack
        Before anything has been sent.
    """
    layout.check_name(drop, what="the drop's name")
    photos, ignored = find_photos(folder, drop=drop)
    store = S3Store(bucket)
    client = boto3.Session().client("s3")
    existing = list_drop(bucket, drop)
    held = held_photos(existing, ((key, obstore.get(store, key).bytes().to_bytes()) for key in existing if shards.is_index(key)))

    def is_new(key: str) -> bool:
        # The ETag of an object put in one part is its MD5, except with KMS keys: then its metadata, a HEAD, have it.
        if key not in held:
            return True
        digest = shards.md5_of(photos[key].read_bytes())
        if held[key].md5 == digest:
            return False
        return bool(held[key].shard) or client.head_object(Bucket=bucket, Key=key)["Metadata"].get(MD5) != digest

    def send(key: str) -> None:
        content = photos[key].read_bytes()
        obstore.put(store, key, content, attributes={MD5: shards.md5_of(content)}, use_multipart=False)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        new = [key for key, needed in zip(photos, pool.map(is_new, photos), strict=True) if needed]
        sent = count(len(photos) - len(new) + 1)

        def report_sent() -> None:
            number = next(sent)
            if on_progress:
                on_progress(number, len(photos))

        packed = [key for key in new if is_packed and (key not in held or held[key].is_replaced_by_a_shard)]
        check_packable(packed)
        with _announced(store, drop, is_changed=bool(new), is_announced=layout.ready(drop) in existing):
            _upload_shards({key: photos[key] for key in packed}, store=store, drop=drop, existing=existing, on_photo=report_sent)
            single = sorted(set(new) - set(packed))
            for _ in pool.map(send, single):
                report_sent()
    varieties = {layout.variety_of(key) for key in photos}
    return UploadSummary(drop, len(varieties), len(photos), len(new), len(photos) - len(new), ignored)


@contextmanager
def _announced(store: S3Store, drop: str, *, is_changed: bool, is_announced: bool) -> Iterator[None]:
    """Take the drop's `_READY` away while the body changes the drop, and put it when that has succeeded."""
    if is_changed and is_announced:
        obstore.delete(store, layout.ready(drop))
    yield
    if is_changed or not is_announced:
        obstore.put(store, layout.ready(drop), b"")


def _upload_shards(
    photos: Mapping[str, Path], *, store: S3Store, drop: str, existing: Collection[str], on_photo: Callable[[], None]
) -> None:
    """Pack photos and send each shard, then its index, which has the shard's ETag."""
    number = next_number(PurePosixPath(key).stem for key in existing if shards.is_shard(key))
    by_name = {shards.name_in_shard(key)[1]: file for key, file in photos.items()}
    with TemporaryDirectory(prefix="fruits-shards-") as scratch:
        for packed in pack(by_name, folder=Path(scratch), first_number=number, on_photo=on_photo):
            key = shards.shard(drop, packed.name)
            put = obstore.put(store, key, packed.file, chunk_size=shards.UPLOAD_PART_BYTES, max_concurrency=PARTS_AT_ONCE)
            packed.file.unlink()
            index = replace(packed.index, etag=(put["e_tag"] or "").strip('"'))
            obstore.put(store, shards.index_of(key), index.to_bytes())


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
