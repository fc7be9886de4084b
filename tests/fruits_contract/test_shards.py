"""A key shows whether an object is a shard, an index or a photo."""

import pytest

from fruits_contract import layout, shards


@pytest.mark.parametrize(
    ("key", "is_shard", "is_index"),
    [
        ("raw/first/photos-00000-0123456789ab.tar", True, False),
        ("raw/first/my fruits (1).tar", True, False),
        ("raw/first/photos-00000-0123456789ab.index.parquet", False, True),
        ("raw/first/Apple/0.tar", False, False),
        ("raw/first/Apple/0.index.parquet", False, False),
        ("raw/first/0.jpg", False, False),
        ("raw/first/a\n.tar", False, False),
        ("raw/first/a\\b.tar", False, False),
        ("raw/first/.tar.gz", False, False),
        ("runs/first/a.tar", False, False),
    ],
)
def test_only_files_directly_in_a_drop_are_shards_and_indexes(key: str, is_shard: bool, is_index: bool) -> None:
    assert (shards.is_shard(key), shards.is_index(key)) == (is_shard, is_index)


def test_the_index_is_beside_its_shard() -> None:
    assert shards.index_of(shards.shard("first", "a.b")) == shards.shard_index("first", "a.b") == "raw/first/a.b.index.parquet"


def test_a_photo_has_the_same_name_in_a_shard_as_in_its_drop() -> None:
    assert shards.name_in_shard(layout.raw_image("first", "Apple", "a/0.jpg")) == ("first", "Apple/a/0.jpg")
