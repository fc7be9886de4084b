"""The photos that a drop has already, by path, as objects of their own or in shards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from fruits_contract import layout, shards
from fruits_contract.shard_index import InvalidIndex, ShardIndex
from local.client.pack import OWN_NAME


@dataclass(frozen=True)
class HeldPhoto:
    """A photo of a drop: the MD5 of its bytes, and the name of its shard, '' for an object of its own."""

    md5: str
    shard: str = ""

    @property
    def is_replaced_by_a_shard(self) -> bool:
        """Whether a new shard of ours would count instead of this; objects, and shards that others have named, would not."""
        return bool(OWN_NAME.fullmatch(self.shard))


def held_photos(objects: Mapping[str, str], indexes: Iterable[tuple[str, bytes]]) -> dict[str, HeldPhoto]:
    """Return the photos of a drop by path; where one is there twice, the one that planning takes.

    Parameters
    ----------
    objects
        ETags of all objects of the drop by key.
    indexes
        Keys and bytes of the indexes of its shards. One that cannot be used counts as none: its photos are sent again.
    """
    held: dict[str, HeldPhoto] = {}
    for key, content in sorted(indexes):
        shard = key.removesuffix(shards.INDEX_SUFFIX) + shards.SUFFIX
        try:
            index = ShardIndex.from_bytes(content)
        except InvalidIndex:
            continue
        if shard not in objects or index.etag not in ("", objects[shard].strip('"')):
            continue
        drop = shard.split("/")[1]
        name = PurePosixPath(shard).stem
        paths = (layout.raw_prefix(drop) + member for member in index.members["member"].to_pylist())
        held |= {path: HeldPhoto(md5, name) for path, md5 in zip(paths, index.members["md5"].to_pylist(), strict=True)}
    own = {
        key: HeldPhoto(etag.strip('"')) for key, etag in objects.items() if not shards.is_shard(key) and not shards.is_index(key)
    }
    return held | own
