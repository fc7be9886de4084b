"""Which runs are part of the published tables: read from the tables' logs alone, without loading what reads rows."""

from collections.abc import Iterator
from typing import Any

from deltalake import DeltaTable

from fruits_airflow.bucket import Bucket
from fruits_contract import columns

# Versions of the Delta application transaction that is named after a run.
PUBLISHED, ROLLED_BACK = 1, 2
# In a commit's metadata: the run whose rows it added, and the version that a rollback returned to.
RUN, RESTORED = "run", "restored"
ERASED = "erased"  # in the metadata of a commit that took out contributed photos: how many rows
HARMLESS = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END", "ADD COLUMN"})  # operations that leave every row as it was


def open_table(bucket: Bucket, key: str) -> DeltaTable | None:
    """Return the current version of a table, or None before its first commit."""
    uri, options = bucket.uri(key), bucket.table_options()
    return DeltaTable(uri, storage_options=options) if DeltaTable.is_deltatable(uri, options) else None


def has_run(table: DeltaTable | None, run: str) -> bool:
    """Return whether the run is part of a table: committed and not rolled back."""
    return table is not None and table.transaction_version(run) == PUBLISHED


def is_rolled_back(table: DeltaTable | None, run: str) -> bool:
    """Return whether the run was committed to a table and rolled back."""
    return table is not None and table.transaction_version(run) == ROLLED_BACK


def is_published(run: str, *, bucket: Bucket) -> bool:
    """Return whether the run has been committed to any table, also where it was rolled back since."""
    tables = (open_table(bucket, key) for key in columns.TABLES)
    return any(table is not None and table.transaction_version(run) is not None for table in tables)


def effective_commits(table: DeltaTable | None, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the commits that made the table what it is, the newest first: those that were undone by a restore are left out.

    A restore by hand to a date ends the iteration: its commit does not name the version.

    Parameters
    ----------
    limit
        How many commits of the log are read at most: each is one object.
    """
    restored: int | None = None  # the commits between a restore and the version it returned to do not count
    for commit in table.history(limit) if table else []:
        if restored is not None and commit["version"] > restored:
            continue
        if commit["operation"] == "RESTORE" and "version" not in commit["operationParameters"]:
            return
        if commit["operation"] == "RESTORE":
            restored = int(commit["operationParameters"]["version"])
        elif RESTORED in commit:
            restored = int(commit[RESTORED])
        else:
            yield commit
