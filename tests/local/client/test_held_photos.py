"""What a drop has already is what planning would take of it."""

from fruits_contract import shards
from fruits_contract.shard_index import ShardIndex
from local.client.held_photos import HeldPhoto, held_photos

OURS, OURS_LATER, THEIRS = "photos-00000-0123456789ab", "photos-00001-0123456789ab", "theirs"


def index(shard: str, *names: str, md5: str, etag: str = "e") -> tuple[str, bytes]:
    rows = [{"member": name, "offset": 0, "size_bytes": 1, "md5": md5} for name in names]
    return shards.shard_index("d", shard), ShardIndex.of(rows, etag=etag, size_bytes=1).to_bytes()


def test_an_object_counts_more_than_a_shard_and_a_later_shard_more_than_an_earlier_one() -> None:
    objects = {shards.shard("d", name): '"e"' for name in (OURS, OURS_LATER)} | {"raw/d/Apple/0.jpg": '"own"'}
    indexes = [index(OURS_LATER, "Apple/1.jpg", md5="2"), index(OURS, "Apple/0.jpg", "Apple/1.jpg", "Apple/2.jpg", md5="1")]
    assert held_photos(objects, indexes) == {
        "raw/d/Apple/0.jpg": HeldPhoto("own"),
        "raw/d/Apple/1.jpg": HeldPhoto("2", OURS_LATER),
        "raw/d/Apple/2.jpg": HeldPhoto("1", OURS),
    }


def test_an_index_that_planning_would_not_use_counts_as_none() -> None:
    objects = {shards.shard("d", OURS): '"e"', shards.shard("d", THEIRS): '"e"'}
    unusable = [
        index("gone", "a/0.jpg", md5="1"),
        index(OURS, "a/1.jpg", md5="1", etag="f"),
        (shards.shard_index("d", THEIRS), b""),
    ]
    assert held_photos(objects, unusable) == {}


def test_a_new_shard_replaces_photos_of_shards_with_names_of_ours_only() -> None:
    assert HeldPhoto("1", OURS).is_replaced_by_a_shard
    assert not HeldPhoto("1", THEIRS).is_replaced_by_a_shard
    assert not HeldPhoto("1").is_replaced_by_a_shard
