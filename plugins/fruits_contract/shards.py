"""Shards: tar files that hold the photos of a drop, `<variety>/<photo>` each, with an index beside each of them.

A photo of a shard is known by the path that it would have as an object of its own, and by the MD5 of its bytes.
"""

import hashlib
import re

from fruits_contract import layout

SUFFIX = ".tar"
INDEX_SUFFIX = ".index.parquet"
# With its last headers, a shard that `make pack` writes stays below 128 MB: four parts of an upload. 25,000 photos of 5 kB.
SHARD_BYTES = 128 * 2**20 - 2**16
RANGE_BYTES = 8 * 2**20  # read by one GET
UPLOAD_PART_BYTES = 32 * 2**20  # of a multipart upload of a shard
_SHARD = re.compile(rf"{layout.RAW}[^/]+/[^/\x00-\x1f\x7f\\]+{re.escape(SUFFIX)}")
_INDEX = re.compile(rf"{layout.RAW}[^/]+/[^/]+{re.escape(INDEX_SUFFIX)}")


def shard(drop: str, shard: str) -> str:
    """Return the key of a tar file of photos, `<variety>/<photo>` each; read in large pieces."""
    return f"{layout.raw_prefix(drop)}{shard}{SUFFIX}"


def shard_index(drop: str, shard: str) -> str:
    """Return the key of the index of a shard: name, place, size and MD5 of each photo; planning writes it where it is missing."""
    return f"{layout.raw_prefix(drop)}{shard}{INDEX_SUFFIX}"


def is_shard(key: str) -> bool:
    """Return whether a key is that of a shard: a `.tar` that lies in a drop and in no variety."""
    return bool(_SHARD.fullmatch(key))


def is_index(key: str) -> bool:
    """Return whether a key is that of the index of a shard."""
    return bool(_INDEX.fullmatch(key))


def index_of(shard_key: str) -> str:
    """Return the key of the index of the shard with the key `shard_key`."""
    return shard_key.removesuffix(SUFFIX) + INDEX_SUFFIX


def name_in_shard(path: str) -> tuple[str, str]:
    """Return the drop of a photo by its path, and the name that it has in a shard of the drop."""
    _, drop, name = path.split("/", 2)
    return drop, name


def md5_of(content: bytes) -> str:
    """Return the MD5 of a photo's bytes: what S3 returns as the ETag of an object that was put in one part."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
