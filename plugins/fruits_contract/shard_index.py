"""The index of a shard, a Parquet file: one row (`columns.SHARD_INDEX`) per photo, by its place, and what shard it is of."""

import io
import json
from dataclasses import dataclass
from typing import IO, Any

from fruits_contract import columns

METADATA = b"fruits_shard"
ROW_GROUP_ROWS = 4096  # about 100 kB: a reader that looks for one variety reads few of them


class InvalidIndex(ValueError):
    """An index that cannot be read, or whose photos cannot be in its shard."""


@dataclass(frozen=True)
class ShardIndex:
    """Where the photos of one shard are.

    Parameters
    ----------
    members : pyarrow.Table
        Columns `columns.SHARD_INDEX`, by ascending offset.
    etag
        The shard's ETag; '' where it was not known when the index was written, before the shard was uploaded.
    size_bytes
        The shard's size.
    damage
        What is wrong with the shard, '' where nothing is; its members are those before the damage.
    """

    members: Any
    etag: str
    size_bytes: int
    damage: str = ""

    @classmethod
    def of(cls, rows: list[dict[str, Any]], *, etag: str, size_bytes: int, damage: str = "") -> "ShardIndex":
        """Return the index with the rows `columns.SHARD_INDEX`."""
        import pyarrow as pa

        schema = columns.arrow_schema(columns.SHARD_INDEX)
        return cls(pa.Table.from_pylist(rows, schema=schema), etag, size_bytes, damage)

    def is_of(self, *, etag: str, size_bytes: int) -> bool:
        """Return whether a shard with this ETag and size is the one that was indexed."""
        return self.size_bytes == size_bytes and self.etag in ("", etag)

    def to_bytes(self) -> bytes:
        """Return the Parquet file."""
        import pyarrow.parquet as pq

        described = json.dumps({"etag": self.etag, "size_bytes": self.size_bytes, "damage": self.damage}).encode()
        content = io.BytesIO()
        table = self.members.replace_schema_metadata({METADATA: described})
        pq.write_table(table, content, row_group_size=ROW_GROUP_ROWS, compression="zstd", use_dictionary=False)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "ShardIndex":
        """Read the Parquet file; raise `InvalidIndex` where it is not one, or where a member ends after the shard."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(pa.BufferReader(content))
            described = json.loads((table.schema.metadata or {})[METADATA])
            members = table.replace_schema_metadata(None).cast(columns.arrow_schema(columns.SHARD_INDEX))
            index = cls(members, str(described["etag"]), int(described["size_bytes"]), str(described["damage"]))
        except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
            raise InvalidIndex(f"not a shard index: {error}") from error
        if any(column.null_count for column in members.columns):
            raise InvalidIndex("a row lacks its name, offset, size or MD5")
        last_start = pc.subtract(index.size_bytes, members["size_bytes"])
        is_negative = pc.or_(pc.less(members["offset"], 0), pc.less(members["size_bytes"], 0))
        is_outside = pc.or_(is_negative, pc.greater(members["offset"], last_start))
        if pc.any(is_outside).as_py():
            raise InvalidIndex("a row points outside the shard")
        return index


def find_in_index(source: IO[bytes], *, first: str, last: str) -> list[dict[str, Any]]:
    """Return the rows of an index with names from `first` to `last`, reading only the row groups that may have some.

    Raises
    ------
    InvalidIndex
        Not a Parquet file with names.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(source, filters=[("member", ">=", first), ("member", "<=", last)]).to_pylist()
    except (pa.ArrowException, ValueError) as error:
        raise InvalidIndex(f"not a shard index: {error}") from error
    return rows
