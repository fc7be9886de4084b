"""An index comes back as it was written, and one that cannot be right is refused."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fruits_contract.shard_index import InvalidIndex, ShardIndex, find_in_index

ROW = {"member": "Apple/0.jpg", "offset": 512, "size_bytes": 5, "md5": "0" * 32}


def index(*rows: dict[str, Any], size_bytes: int = 10240, **more: str) -> ShardIndex:
    return ShardIndex.of(list(rows), **{"etag": "e", **more}, size_bytes=size_bytes)


@pytest.mark.parametrize("rows", [[], [ROW], [ROW, {**ROW, "member": "Äpfel/\udfff0.jpg".encode("utf-8", "replace").decode()}]])
def test_it_comes_back(rows: list[dict[str, Any]]) -> None:
    written = index(*rows, damage="cut off")
    read = ShardIndex.from_bytes(written.to_bytes())
    assert read.members.equals(written.members)
    assert (read.etag, read.size_bytes, read.damage) == ("e", 10240, "cut off")


def test_it_is_of_a_shard_of_the_same_size_and_etag_where_that_is_known() -> None:
    assert index(ROW).is_of(etag="e", size_bytes=10240)
    assert not index(ROW).is_of(etag="other", size_bytes=10240)
    assert index(ROW, etag="").is_of(etag="other", size_bytes=10240)
    assert not index(ROW, etag="").is_of(etag="other", size_bytes=10241)


@pytest.mark.parametrize(
    "row",
    [
        {**ROW, "offset": 10236},
        {**ROW, "offset": -1},
        {**ROW, "size_bytes": -1},
        {**ROW, "offset": 2**63 - 1},
        {**ROW, "md5": None},
        {**ROW, "member": None},
    ],
)
def test_a_photo_that_cannot_be_in_the_shard_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(InvalidIndex):
        ShardIndex.from_bytes(index(ROW, row).to_bytes())


def parquet_of(values: dict[str, Any], metadata: dict[bytes, bytes]) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table(values).replace_schema_metadata(metadata), content)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        index(ROW).to_bytes()[:-100],
        parquet_of({"member": ["a"]}, {}),
        parquet_of({"member": ["a"]}, {b"fruits_shard": b'{"etag": "", "size_bytes": 1, "damage": ""}'}),
        parquet_of({name: [value] for name, value in ROW.items()}, {b"fruits_shard": b"[]"}),
        parquet_of({name: [value] for name, value in ROW.items()}, {b"fruits_shard": b'{"etag": "", "size_bytes": "x"}'}),
    ],
)
def test_what_is_no_index_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidIndex):
        ShardIndex.from_bytes(content)


def test_rows_are_found_by_their_names() -> None:
    rows = [{**ROW, "member": f"{variety}/{number}.jpg"} for variety in ("Apple", "Apple 2", "Cherry") for number in range(3)]
    source = io.BytesIO(index(*rows).to_bytes())
    found = find_in_index(source, first="Apple/", last="Apple/\U0010ffff")
    assert [row["member"] for row in found] == ["Apple/0.jpg", "Apple/1.jpg", "Apple/2.jpg"]
