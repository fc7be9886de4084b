"""Takes the rows of contributions out of the tables, and deletes every file that held one, without waiting for a vacuum."""

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction, CommitProperties, RemoveAction

from fruits_airflow.bucket import Bucket, ObjectVersion
from fruits_airflow.commits import ERASED, open_table
from fruits_airflow.erasure.contents import UNREADABLE, contributed_paths, downloaded
from fruits_airflow.erasure.subjects import Subjects
from fruits_airflow.lease import Lease, lease_tables
from fruits_airflow.rewriting import Paths, rewrite_without
from fruits_airflow.table_files import add_action, files_of, partitions_of, remove_action
from fruits_contract import columns, layout

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileWithRows:
    """A version of a table's Parquet file that has rows of contributions: their ids by path."""

    version: ObjectVersion
    paths: dict[str, str]


def files_with_rows(bucket: Bucket, key: str, subjects: Subjects) -> Iterator[FileWithRows]:
    """Yield the Parquet files below a table that hold a row: also those never published, replaced, or hidden by a deletion."""
    for version in bucket.versions(f"{key}/"):
        is_data = version.key.endswith(".parquet") and not layout.is_in_delta_log(version.key)
        if version.is_marker or not is_data or version.modified < subjects.since:
            continue
        try:
            paths = _paths_in(bucket, version, subjects)
        except FileNotFoundError:  # deleted since it was listed
            continue
        except UNREADABLE:  # no table has such a file
            continue
        if paths:
            yield FileWithRows(version, paths)


def erase_rows(bucket: Bucket, subjects: Subjects) -> None:
    """Take the rows out of each table, in one commit, and delete the files that held them.

    A fit that was planned before is refused when it publishes, and a rollback across the commit as well.

    Raises
    ------
    TablesAreBusy
        A publication took too long.
    """
    with lease_tables(bucket, holder=f"erasure {uuid.uuid4().hex[:8]}") as lease:
        for key in columns.TABLES:
            found = list(files_with_rows(bucket, key, subjects))
            table = open_table(bucket, key)
            if table is not None:
                _commit(bucket, table, key, found, subjects, lease)
            for each in found:
                names, drop = each.paths.values(), layout.partition_values(each.version.key)["drop"]
                thing = f"{each.version.key} {each.version.version}"
                subjects.record(names, f"files of {key} (rewritten or deleted)", thing, drop=drop)
            subjects.save(bucket)
            bucket.delete_versions([each.version for each in found])


def _commit(bucket: Bucket, table: DeltaTable, key: str, found: list[FileWithRows], subjects: Subjects, lease: Lease) -> None:
    """Replace the published files that hold rows by files without them."""
    published = {file.key: file for file in files_of(table, key)}
    schema = columns.arrow_schema(columns.TABLES[key].columns)
    actions: list[AddAction | RemoveAction] = []
    rows = 0
    for each in found:
        old = published.get(each.version.key)
        if old is None or not each.version.is_current:
            continue
        rewritten = rewrite_without(bucket, old, Paths.of([pa.array(list(each.paths), pa.string())]), schema=schema)
        if rewritten is None:
            continue
        actions.append(remove_action(key, old))
        if rewritten.new:
            actions.append(add_action(key, rewritten.new))
        for path, contribution in each.paths.items():
            subjects.record([contribution], f"rows of {key}", f"{old.key} {path}")
        rows += len(each.paths)
    if not actions:
        return
    subjects.save(bucket)
    # Opened anew: the keys that `table` was opened with may have expired while files were rewritten.
    planned_on = DeltaTable(table.table_uri, version=table.version(), storage_options=bucket.table_options())
    lease.check()
    planned_on.create_write_transaction(
        actions,
        "append",
        table.schema(),
        partition_by=partitions_of(key),
        commit_properties=CommitProperties(custom_metadata={ERASED: str(rows)}),
    )
    log.info("%s: %s rows taken out", key, rows)


def _paths_in(bucket: Bucket, version: ObjectVersion, subjects: Subjects) -> dict[str, str]:
    if version.is_current:
        with bucket.open(version.key) as file:
            return contributed_paths(file, subjects.contributions)
    with downloaded(bucket, version) as file:
        return contributed_paths(file, subjects.contributions)
