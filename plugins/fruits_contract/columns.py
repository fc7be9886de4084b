"""The columns of every table, in order; a `select` of these at entry and exit is the schema contract.

Names and Spark SQL types only: no engine is imported here.
"""

from typing import NamedTuple

from fruits_contract import layout

BATCH = {
    "path": "string",
    "etag": "string",
    "size_bytes": "bigint",
    "label": "string",
    "contributor": "string",
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


class Table(NamedTuple):
    """A published table's columns in its files, and those that only its folders say."""

    columns: dict[str, str]
    partitions: tuple[str, ...]


TABLES = {
    layout.FEATURES: Table(FEATURES, ("drop", "run")),
    layout.REJECTS: Table(REJECTS, ("drop", "run")),
    layout.PROJECTED: Table(PROJECTED, ("pca", "drop", "run")),
}


def ddl(columns: dict[str, str]) -> str:
    """Return the columns as a Spark DDL string, e.g. 'path string, etag string'."""
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
