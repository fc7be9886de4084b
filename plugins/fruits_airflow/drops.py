"""The photos of a drop: objects of their own, and members of shards, as one table without a Python object per packed photo."""

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fruits_airflow.bucket import Bucket, ObjectInfo
from fruits_airflow.shard_indexing import index_shard
from fruits_contract import columns, layout, shards
from fruits_contract.shard_index import InvalidIndex, ShardIndex

log = logging.getLogger(__name__)

BATCH = columns.arrow_schema(columns.BATCH)
READERS = 4  # shards indexed at the same time, 8 MB each
# As `layout.variety_of`, of what follows `raw/<drop>/`.
VARIETY = r"(?:^|/)(?P<variety>[^/]*)/[^/]*$"


@dataclass
class Listing:
    """The objects of a drop by what they are; `_READY` and the empty `folder/` objects of S3's console are left out."""

    photos: list[ObjectInfo] = field(default_factory=list)
    shards: list[ObjectInfo] = field(default_factory=list)
    indexes: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, bucket: Bucket, drop: str) -> "Listing":
        """List the drop once, by key."""
        found = cls()
        for item in bucket.objects(layout.raw_prefix(drop)):
            if shards.is_shard(item.key):
                found.shards.append(item)
            elif shards.is_index(item.key):
                found.indexes.add(item.key)
            elif item.key != layout.ready(drop) and not (item.key.endswith("/") and not item.size_bytes):
                found.photos.append(item)
        return found


def photos_of(bucket: Bucket, drop: str) -> pa.Table:
    """Return a row of `columns.BATCH` per photo of the drop, without contributors; featurize decides whether it is readable.

    A path that is there more than once is the object of its own or, where there is none, the member of the shard with the last
    name. Photos of a shard follow each other by their places in it.
    """
    listing = Listing.of(bucket, drop)
    with ThreadPoolExecutor(READERS) as readers:
        packed = list(readers.map(lambda shard: _members(bucket, drop, shard, listing.indexes), listing.shards))
    return _last_of_each_path(pa.concat_tables([*packed, _objects(listing.photos)]))


def gets_of(photos: pa.Table) -> int:
    """Return about how many GETs read these photos: one per object of its own, and one per range of a shard."""
    packed = photos.filter(pc.not_equal(photos["shard"], ""))
    shard_count = pc.count_distinct(packed["shard"]).as_py()
    ranges = math.ceil((pc.sum(packed["size_bytes"]).as_py() or 0) / shards.RANGE_BYTES)
    return len(photos) - len(packed) + ranges + int(shard_count)


def read_index(bucket: Bucket, shard: ObjectInfo, indexes: set[str]) -> ShardIndex:
    """Return the index of a shard, and make and keep it where there is none in `indexes` or it is not of this shard."""
    key = shards.index_of(shard.key)
    if key in indexes:
        try:
            index = ShardIndex.from_bytes(bucket.read(key))
            if index.is_of(etag=shard.etag, size_bytes=shard.size_bytes):
                return index
            log.warning("%s does not match its shard; rebuilding it", key)
        except InvalidIndex as error:
            log.warning("%s cannot be read; rebuilding it: %s", key, error)
    index = index_shard(bucket, shard)
    bucket.write(key, index.to_bytes())
    return index


def _members(bucket: Bucket, drop: str, shard: ObjectInfo, indexes: set[str]) -> pa.Table:
    index = read_index(bucket, shard, indexes)
    names = index.members["member"]
    # A contributed photo in a shard could not be erased.
    is_contributed = pc.match_substring_regex(names, layout.CONTRIBUTED_NAME)
    members = index.members.filter(pc.invert(is_contributed))
    if left_out := len(names) - len(members):
        log.warning("Shard %s: %s contributed photos are left out: they are never packed", shard.key, left_out)
    rows = _rows(
        path=pc.binary_join_element_wise(layout.raw_prefix(drop), members["member"], ""),
        etag=members["md5"],
        size_bytes=members["size_bytes"],
        label=pc.fill_null(pc.struct_field(pc.extract_regex(members["member"], VARIETY), "variety"), ""),
        shard=_repeated(shard.key, len(members)),
        shard_etag=_repeated(shard.etag, len(members)),
        offset=members["offset"],
    )
    if not index.damage:
        return rows
    log.warning("Shard %s is damaged (%s): %s photos before the damage are taken", shard.key, index.damage, len(rows))
    damaged = _rows(
        path=[shard.key], etag=[shard.etag], size_bytes=[0], label=[""], shard=[shard.key], shard_etag=[""], offset=[-1]
    )
    return pa.concat_tables([rows, damaged])


def _objects(photos: Sequence[ObjectInfo]) -> pa.Table:
    count = len(photos)
    return _rows(
        path=[photo.key for photo in photos],
        etag=[photo.etag for photo in photos],
        size_bytes=[photo.size_bytes for photo in photos],
        label=[layout.variety_of(photo.key) for photo in photos],
        shard=_repeated("", count),
        shard_etag=_repeated("", count),
        offset=np.zeros(count, np.int64),
    )


def _rows(**values: Any) -> pa.Table:
    values["contributor"] = _repeated("", len(values["path"]))
    return pa.table({name: values[name] for name in BATCH.names}, schema=BATCH)


def _repeated(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), count)


def _last_of_each_path(photos: pa.Table) -> pa.Table:
    """Return the rows without those whose path comes again later; by sorting, which takes less memory than hashing."""
    order = pc.sort_indices(photos["path"])  # stable
    paths = photos["path"].take(order)
    is_followed_by_itself = pc.equal(paths.slice(0, max(len(paths) - 1, 0)), paths.slice(1)).to_numpy()
    if not is_followed_by_itself.any():
        return photos
    is_kept = np.ones(len(photos), bool)
    is_kept[order.to_numpy()[:-1][is_followed_by_itself]] = False
    return photos.filter(pa.array(is_kept))
