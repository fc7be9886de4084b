"""The columns of the list of photos and of every table, in order, and the Arrow schemas that follow from them."""

from typing import Any, NamedTuple

from fruits_contract import layout

BATCH = {
    "path": "string",
    "etag": "string",
    "size_bytes": "bigint",
    "label": "string",
    "contributor": "string",
    "shard": "string",  # key of the shard that holds the photo; '' for an object of its own
    "shard_etag": "string",
    "offset": "bigint",  # of the photo's first byte in the shard; -1: the row is a damaged shard
}
SHARD_INDEX = {
    "member": "string",  # <variety>/<photo>
    "offset": "bigint",
    "size_bytes": "bigint",
    "md5": "string",
}
FEATURES = {
    "path": "string",
    "etag": "string",
    "label": "string",
    "contributor": "string",
    "width": "int",
    "height": "int",
    "extractor": "string",
    "features": "array<float>",
    "colors": "array<float>",
}
REJECTS = {
    "path": "string",
    "etag": "string",
    "label": "string",
    "contributor": "string",
    "extractor": "string",
    "reason": "string",
    "detail": "string",
}
PROJECTED = {
    "path": "string",
    "label": "string",
    "projected": "array<float>",
}


class TableColumns(NamedTuple):
    """A published table's columns in its files, and those that only its folder names hold."""

    columns: dict[str, str]
    partitions: tuple[str, ...]


TABLES = {
    layout.FEATURES_TABLE: TableColumns(FEATURES, ("drop", "run")),
    layout.REJECTS_TABLE: TableColumns(REJECTS, ("drop", "run")),
    layout.PROJECTED_TABLE: TableColumns(PROJECTED, ("pca", "drop", "run")),
}


def arrow_schema(columns: dict[str, str]) -> Any:
    """Return the Arrow schema of columns given as Spark SQL types (`BATCH`, `FEATURES`, ...)."""
    import pyarrow as pa  # on first use: Airflow parses DAGs without it

    types = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "array<float>": pa.list_(pa.float32())}
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])
