"""Photos of a drop that are in shards, found by the indexes: those of one variety, and the bytes of one of them."""

from collections.abc import Iterator
from typing import Any

from fruits_airflow.bucket import Bucket, ObjectInfo
from fruits_contract import layout, shards
from fruits_contract.shard_index import InvalidIndex, find_in_index

LAST_CHARACTER = "\U0010ffff"


def shards_of(bucket: Bucket, drop: str) -> list[ObjectInfo]:
    """Return the shards of a drop that have an index, by name."""
    files = {item.key: item for item in bucket.files(layout.raw_prefix(drop))}
    return [item for key, item in files.items() if shards.is_shard(key) and shards.index_of(key) in files]


def packed_photos(bucket: Bucket, among: list[ObjectInfo], *, drop: str, variety: str) -> Iterator[ObjectInfo]:
    """Yield the photos of a variety in the shards `among`, each once, as if they were objects."""
    yielded: set[str] = set()
    for shard in among:
        rows = _rows(bucket, shard, first=f"{variety}/", last=f"{variety}/{LAST_CHARACTER}")
        new = {row["member"]: row for row in rows if row["member"] not in yielded}
        yielded.update(new)
        for row in new.values():
            yield ObjectInfo(layout.raw_prefix(drop) + row["member"], row["md5"], row["size_bytes"])


def read_photo(bucket: Bucket, path: str) -> bytes:
    """Return a photo's bytes, of an object or of a member of a shard; raise FileNotFoundError when it is neither."""
    try:
        return bucket.read(path)
    except FileNotFoundError:
        drop, name = shards.name_in_shard(path)
        for shard in reversed(shards_of(bucket, drop)):
            for row in _rows(bucket, shard, first=name, last=name):
                start, stop = row["offset"], row["offset"] + row["size_bytes"]
                content = bytes(bucket.read_range(shard.key, start=start, stop=stop, etag=shard.etag))
                if shards.md5_of(content) == row["md5"]:
                    return content
        raise


def _rows(bucket: Bucket, shard: ObjectInfo, *, first: str, last: str) -> list[dict[str, Any]]:
    """Return rows of a shard's index; none where the index cannot be used, until planning has made it again."""
    try:
        with bucket.open(shards.index_of(shard.key)) as source:
            return find_in_index(source, first=first, last=last)
    except InvalidIndex:
        return []
