"""Which runs are part of the published tables: read from the tables' logs alone, without loading what reads rows."""

from deltalake import DeltaTable

from fruits_airflow.bucket import Bucket
from fruits_contract import columns


def open_table(bucket: Bucket, key: str) -> DeltaTable | None:
    """Return the current version of a table, or None before its first commit."""
    uri, options = bucket.uri(key), bucket.table_options()
    return DeltaTable(uri, storage_options=options) if DeltaTable.is_deltatable(uri, options) else None


def has_run(table: DeltaTable | None, run: str) -> bool:
    """Return whether the run has been committed to a table."""
    return table is not None and table.transaction_version(run) is not None


def is_published(run: str, *, bucket: Bucket) -> bool:
    """Return whether the run has been committed to any table."""
    return any(has_run(open_table(bucket, key), run) for key in columns.TABLES)
