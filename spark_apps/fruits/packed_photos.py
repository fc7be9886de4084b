"""Finds photos by their paths alone, as objects of their own or in shards, for stages that have no list of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.compute as pc

from fruits.photo_list import Photo
from fruits.storage import Storage
from fruits_contract import layout, shards
from fruits_contract.shard_index import InvalidIndex, ShardIndex

READERS = 8


def single_photo(path: str) -> Photo:
    """Return what `read_photo` needs to know of a photo that is an object of its own."""
    return {"path": path, "etag": "", "size_bytes": 0, "shard": "", "shard_etag": "", "offset": 0}


def places_of(storage: Storage, paths: Sequence[str]) -> list[list[Photo]]:
    """Return the places where each photo may be, those first that planning prefers, as `read_photo` takes them.

    One LIST per drop and one GET per index. A drop whose keys obstore cannot list counts as one without shards.
    """
    drops: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        drops[shards.name_in_shard(path)[0]].append(path)
    found = {path: places for drop, of_drop in drops.items() for path, places in _places_in(storage, drop, of_drop).items()}
    return [found[path] for path in paths]


def _places_in(storage: Storage, drop: str, paths: Sequence[str]) -> dict[str, list[Photo]]:
    try:
        listed = obstore.list_with_delimiter(storage.store, layout.raw_prefix(drop))
    except obstore.exceptions.BaseError:
        return {path: [single_photo(path)] for path in paths}
    files = {item["path"]: (item["e_tag"] or "").strip('"') for item in listed["objects"]}
    packed = _in_shards(storage, files, {shards.name_in_shard(path)[1] for path in paths})
    folders = {folder.rstrip("/") for folder in listed["common_prefixes"]}

    def places(path: str) -> list[Photo]:
        name = shards.name_in_shard(path)[1]
        may_be_single = layout.raw_prefix(drop) + name.partition("/")[0] in folders or path in files
        if name not in packed:
            return [single_photo(path)]
        member = {"path": path, **packed[name]}
        return [single_photo(path), member] if may_be_single else [member]

    return {path: places(path) for path in paths}


def _in_shards(storage: Storage, files: dict[str, str], names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return where the photos `names` are in the shards of one drop; of several, in the last shard."""
    keys = sorted(key for key in files if shards.is_shard(key) and shards.index_of(key) in files)
    packed: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(READERS) as readers:
        for rows in readers.map(partial(_members, storage, pa.array(names, pa.string()), files), keys):
            packed |= rows
    return packed


def _members(storage: Storage, names: pa.Array, files: dict[str, str], shard: str) -> dict[str, dict[str, Any]]:
    try:
        members = ShardIndex.from_bytes(storage.read(shards.index_of(shard))).members
    except (InvalidIndex, FileNotFoundError):
        return {}
    rows: Iterable[dict[str, Any]] = members.filter(pc.is_in(members["member"], value_set=names)).to_pylist()
    place = {"shard": shard, "shard_etag": files[shard]}
    return {
        row["member"]: {"etag": row["md5"], "size_bytes": row["size_bytes"], "offset": row["offset"], **place} for row in rows
    }
