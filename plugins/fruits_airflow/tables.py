"""The published tables: Delta Lake in the bucket, committed by `deltalake` with S3's conditional writes.

It must not know what the columns mean; it commits Parquet files that a stage wrote, and says which rows are there.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, CommitProperties, Transaction, create_table_with_add_actions
from obstore.fsspec import FsspecStore

from fruits_airflow.commits import has_run, open_table, storage_options
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile

_TYPES = {"string": pa.string(), "int": pa.int32(), "array<float>": pa.list_(pa.float32())}


@dataclass(frozen=True)
class Table:
    """One table of the bucket; `key` is `layout.FEATURES_TABLE`, `layout.REJECTS_TABLE` or `layout.PROJECTED_TABLE`."""

    bucket: str
    key: str
    region: str

    @property
    def _uri(self) -> str:
        return layout.uri(self.bucket, self.key)

    def open(self) -> DeltaTable | None:
        """Return the current version, or None before the first commit."""
        return open_table(self.bucket, self.key, region=self.region)

    def rows(self, *names: str, **partition: str) -> pa.Table:
        """Return the columns `names` of the rows in a partition, e.g. `rows("path", drop="first")`."""
        table = self.open()
        if table is None:
            return pa.table({name: pa.array([], pa.string()) for name in names})
        filters = [(name, "=", value) for name, value in partition.items()]
        return table.to_pyarrow_table(columns=list(names), filters=filters or None)

    def files(self) -> list[str]:
        """Return the keys of the Parquet files in the current version."""
        table = self.open()
        prefix = layout.uri(self.bucket, "")
        return sorted(uri.removeprefix(prefix) for uri in table.file_uris()) if table else []

    def has(self, run: str) -> bool:
        """Say whether the run has been committed to this table."""
        return has_run(self.open(), run)

    def publish(self, files: Sequence[WrittenFile], *, run: str) -> bool:
        """Commit the files of a run, once, with the run's name as Delta application transaction.

        Rows whose path is already in the same partition of the table (the partition without `run`) are replaced in the same
        commit. Returns False when there is nothing to do: the run is in the table, or has no rows for it.
        """
        table = self.open()
        if not files or has_run(table, run):
            return False
        commit = CommitProperties(app_transactions=[Transaction(run, 1)])
        if table is not None and self._replaces(files):
            self._merge(table, files, commit)
        elif table is not None:
            table.create_write_transaction(
                [*self._add_actions(files)],
                "append",
                self._schema(),
                partition_by=self._partitions,
                commit_properties=commit,
            )
        else:
            create_table_with_add_actions(
                self._uri,
                self._schema(),
                self._add_actions(files),
                mode="error",
                partition_by=self._partitions,
                storage_options=storage_options(self.region),
                commit_properties=commit,
            )
        return True

    def remove(self, files: Sequence[WrittenFile], *, drop: str, run: str) -> int:
        """Delete the rows of other runs whose path is in `files`, which are another table's; return how many there were.

        A photo that was replaced by an unreadable one has no features any more, and a repaired one is no reject any more.
        """
        paths = {path for file in files for batch in self._read(file, ["path"]) for path in batch["path"].to_pylist()}
        rows = self.rows("path", "run", drop=drop)
        there = zip(rows["path"].to_pylist(), rows["run"].to_pylist(), strict=True)
        stale = [path for path, of_run in there if path in paths and of_run != run]
        if table := self.open() if stale else None:
            where = f"drop = {_quoted([drop])} AND run != {_quoted([run])} AND path IN ({_quoted(set(stale))})"
            table.delete(where)
        return len(stale)

    @property
    def _partitions(self) -> list[str]:
        return list(columns.TABLES[self.key].partitions)

    def _schema(self) -> Schema:
        fields = [pa.field(name, _TYPES[kind]) for name, kind in columns.TABLES[self.key].columns.items()]
        return Schema.from_arrow(pa.schema([*fields, *(pa.field(name, pa.string()) for name in self._partitions)]))

    def _add_actions(self, files: Sequence[WrittenFile]) -> list[AddAction]:
        now = int(time.time() * 1000)
        return [
            AddAction(
                path=file.key.removeprefix(f"{self.key}/"),
                size=file.size_bytes,
                partition_values=layout.partition_values(file.key),
                modification_time=now,
                data_change=True,
                stats=json.dumps({"numRecords": file.rows}),
            )
            for file in files
        ]

    def _replaces(self, files: Sequence[WrittenFile]) -> bool:
        """Say whether a path of `files` already has a row in its partition (whatever the run)."""
        places = {frozenset(self._place(file).items()) for file in files}
        there = pa.chunked_array(
            [chunk for place in places for chunk in self.rows("path", **dict(place))["path"].chunks], pa.string()
        )
        return any(
            pc.any(pc.is_in(batch["path"], value_set=there)).as_py() for file in files for batch in self._read(file, ["path"])
        )

    def _merge(self, table: DeltaTable, files: Sequence[WrittenFile], commit: CommitProperties) -> None:
        """Insert the files' rows and replace those with the same path, in one commit; the rows are written anew by delta-rs."""
        schema = pa.schema(self._schema().to_arrow())

        def batches() -> Iterator[pa.RecordBatch]:
            for file in files:
                constants = layout.partition_values(file.key)
                for batch in self._read(file):
                    for name in self._partitions:
                        batch = batch.append_column(name, pa.array([constants[name]] * len(batch), pa.string()))
                    yield batch.select(schema.names).cast(schema)

        keys = ["path", *(name for name in self._partitions if name != "run")]
        # The same again with literals, by which delta-rs leaves all other partitions unread.
        pruned = [f"old.{name} IN ({_quoted({self._place(file)[name] for file in files})})" for name in keys[1:]]
        table.merge(
            pa.RecordBatchReader.from_batches(schema, batches()),
            predicate=" AND ".join([*(f"old.{name} = new.{name}" for name in keys), *pruned]),
            source_alias="new",
            target_alias="old",
            commit_properties=commit,
        ).when_matched_update_all().when_not_matched_insert_all().execute()

    def _place(self, file: WrittenFile) -> dict[str, str]:
        return {name: value for name, value in layout.partition_values(file.key).items() if name != "run"}

    def _read(self, file: WrittenFile, names: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        with FsspecStore("s3", region=self.region).open(f"{self.bucket}/{file.key}") as source:
            yield from pq.ParquetFile(source).iter_batches(batch_size=1024, columns=names)


def _quoted(values: Iterable[str]) -> str:
    """Return SQL string literals, separated by commas."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
