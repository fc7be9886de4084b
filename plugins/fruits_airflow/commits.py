"""Which runs are part of the published tables: read from the tables' logs alone, without loading what reads rows.

It must not know what is in the tables.
"""

from deltalake import DeltaTable

from fruits_contract import columns, layout


def storage_options(region: str) -> dict[str, str]:
    """Return how delta-rs reaches the bucket; keys and endpoint come from the environment."""
    return {"AWS_REGION": region, "conditional_put": "etag"}


def open_table(bucket: str, key: str, *, region: str) -> DeltaTable | None:
    """Return the current version of a table, or None before its first commit."""
    uri, options = layout.uri(bucket, key), storage_options(region)
    return DeltaTable(uri, storage_options=options) if DeltaTable.is_deltatable(uri, options) else None


def has_run(table: DeltaTable | None, run: str) -> bool:
    """Say whether the run has been committed to a table."""
    return table is not None and table.transaction_version(run) is not None


def is_published(run: str, *, bucket: str, region: str) -> bool:
    """Say whether the run has been committed to any table."""
    return any(has_run(open_table(bucket, key, region=region), run) for key in columns.TABLES)
