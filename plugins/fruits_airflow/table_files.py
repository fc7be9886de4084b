"""The files of a published table, and the Delta actions that add them to it and remove them."""

import os.path
import time
from collections.abc import Iterable

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, RemoveAction

from fruits_airflow.bucket import Bucket
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile


def files_of(table: DeltaTable, key: str) -> list[WrittenFile]:
    """Return the files in the loaded version of the table at `key`, by key."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return []
    rows = actions.select(["path", "size_bytes", "num_records"]).to_pylist()
    files = [WrittenFile(f"{key}/{row['path']}", row["size_bytes"], row["num_records"]) for row in rows]
    return sorted(files, key=lambda file: file.key)


def missing_from(bucket: Bucket, keys: Iterable[str]) -> list[str]:
    """Return those keys of one table's files that are not in the bucket."""
    wanted = sorted(keys)
    if not wanted:
        return []
    existing = {item.key for item in bucket.objects(os.path.commonpath(wanted))}
    return [key for key in wanted if key not in existing]


def add_action(key: str, file: WrittenFile) -> AddAction:
    """Return the action that adds a file to the table at `key`."""
    return AddAction(
        path=file.key.removeprefix(f"{key}/"),
        size=file.size_bytes,
        partition_values=layout.partition_values(file.key),
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=f'{{"numRecords": {file.rows}}}',
    )


def remove_action(key: str, file: WrittenFile) -> RemoveAction:
    """Return the action that removes a file from the table at `key`; the object stays until a vacuum."""
    return RemoveAction(
        path=file.key.removeprefix(f"{key}/"),
        data_change=True,
        deletion_timestamp=int(time.time() * 1000),
        size=file.size_bytes,
        partition_values={**layout.partition_values(file.key)},
    )


def partitions_of(key: str) -> list[str]:
    """Return the partition columns of the table at `key`."""
    return list(columns.TABLES[key].partitions)


def schema_of(key: str) -> Schema:
    """Return the Delta schema of the table at `key`: its columns, then its partitions."""
    schema = columns.arrow_schema(columns.TABLES[key].columns)
    for name in partitions_of(key):
        schema = schema.append(pa.field(name, pa.string()))
    return Schema.from_arrow(schema)
