"""The published tables: Delta Lake in the bucket, to which a run's Parquet files are committed."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, CommitProperties, Transaction, create_table_with_add_actions

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import has_run, open_table
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile

RUN = "run"  # in a commit's metadata: the run whose rows it added
COMMITS_READ = 20


@dataclass(frozen=True)
class PublishedTable:
    """One table of the bucket; `key` is one of `columns.TABLES`."""

    bucket: Bucket
    key: str

    def open(self) -> DeltaTable | None:
        """Return the current version, or None before the first commit."""
        return open_table(self.bucket, self.key)

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
        if table is None:
            return []
        prefix = self.bucket.uri("")
        return sorted(uri.removeprefix(prefix) for uri in table.file_uris())

    def count_rows(self) -> int:
        """Return the number of rows, from the table's log alone."""
        table = self.open()
        if table is None:
            return 0
        return sum(pa.table(table.get_add_actions(flatten=True))["num_records"].to_pylist())

    def has(self, run: str) -> bool:
        """Return whether the run has been committed to this table."""
        return has_run(self.open(), run)

    def newest_run(self) -> str:
        """Return the run that was committed last, of those that a restored table has; '' where the newest commits have none."""
        table = self.open()
        restored: int | None = None  # the version of the last RESTORE: the commits between it and that one do not count
        for commit in table.history(COMMITS_READ) if table else []:
            if restored is not None and commit["version"] > restored:
                continue
            if commit["operation"] == "RESTORE":
                restored = int(commit["operationParameters"]["version"])
            elif RUN in commit:
                return str(commit[RUN])
        return ""

    def publish(self, files: Sequence[WrittenFile], *, run: str) -> bool:
        """Commit the files of a run, once, with the run's name as Delta application transaction.

        Rows whose path is already in the same partition of the table (the partition without `run`) are replaced in the same
        commit. Returns False when there is nothing to do: the run is in the table, or has no rows for it.
        """
        table = self.open()
        if not files or has_run(table, run):
            return False
        commit = CommitProperties(app_transactions=[Transaction(run, 1)], custom_metadata={RUN: run})
        if table is not None:
            self._add_missing_columns(table)
        if table is None:
            create_table_with_add_actions(
                self.bucket.uri(self.key),
                self._schema(),
                self._add_actions(files),
                mode="error",
                partition_by=self._partitions,
                storage_options=self.bucket.table_options(),
                commit_properties=commit,
            )
        elif self._replaces(files):
            self._merge(table, files, commit)
        else:
            table.create_write_transaction(
                [*self._add_actions(files)], "append", self._schema(), partition_by=self._partitions, commit_properties=commit
            )
        return True

    def remove(self, files: Sequence[WrittenFile], *, drop: str, run: str) -> int:
        """Delete the rows of other runs whose path is in `files` of another table; return the number of rows deleted.

        A photo that was replaced by an unreadable one no longer has features, and a repaired one is no longer a reject.
        """
        paths = {path for file in files for batch in self._read(file, ["path"]) for path in batch["path"].to_pylist()}
        stale = {
            row["path"] for row in self.rows("path", "run", drop=drop).to_pylist() if row["path"] in paths and row["run"] != run
        }
        table = self.open()
        if table is None or not stale:
            return 0
        deleted = table.delete(
            f"drop = {_quoted([drop])} AND run != {_quoted([run])} AND path IN ({_quoted(stale)})",
            commit_properties=CommitProperties(app_transactions=[Transaction(_removal(run), table.version() + 1)]),
        )
        return int(deleted["num_deleted_rows"])

    def last_changed_by_removal_of(self, run: str) -> bool:
        """Return whether the newest commit is the run's own `remove`."""
        table = self.open()
        return table is not None and table.transaction_version(_removal(run)) == table.version()

    def _add_missing_columns(self, table: DeltaTable) -> None:
        """Add the columns that the table lacks, because an earlier release created it; its rows have none in them."""
        existing = {field.name for field in table.schema().fields}
        missing = [field for field in self._schema().fields if field.name not in existing]
        if missing:
            table.alter.add_columns(missing)

    @property
    def _partitions(self) -> list[str]:
        return list(columns.TABLES[self.key].partitions)

    def _schema(self) -> Schema:
        schema = columns.arrow_schema(columns.TABLES[self.key].columns)
        for name in self._partitions:
            schema = schema.append(pa.field(name, pa.string()))
        return Schema.from_arrow(schema)

    def _add_actions(self, files: Sequence[WrittenFile]) -> list[AddAction]:
        now_ms = int(time.time() * 1000)
        return [
            AddAction(
                path=file.key.removeprefix(f"{self.key}/"),
                size=file.size_bytes,
                partition_values=layout.partition_values(file.key),
                modification_time=now_ms,
                data_change=True,
                stats=json.dumps({"numRecords": file.rows}),
            )
            for file in files
        ]

    def _replaces(self, files: Sequence[WrittenFile]) -> bool:
        """Return whether a path of `files` already has a row in its partition (whatever the run)."""
        partitions = {tuple(self._partition_of(file).items()) for file in files}
        existing: list[pa.Array] = []
        for partition in partitions:
            existing += self.rows("path", **dict(partition))["path"].chunks
        paths = pa.chunked_array(existing, pa.string())
        return any(
            pc.any(pc.is_in(batch["path"], value_set=paths)).as_py() for file in files for batch in self._read(file, ["path"])
        )

    def _merge(self, table: DeltaTable, files: Sequence[WrittenFile], commit: CommitProperties) -> None:
        """Insert the files' rows and replace those with the same path, in one commit; delta-rs rewrites the rows."""
        schema = pa.schema(self._schema().to_arrow())

        def batches() -> Iterator[pa.RecordBatch]:
            for file in files:
                constants = layout.partition_values(file.key)
                for batch in self._read(file):
                    for name in self._partitions:
                        batch = batch.append_column(name, pa.array([constants[name]] * len(batch), pa.string()))
                    yield batch.select(schema.names).cast(schema)

        names = [name for name in self._partitions if name != "run"]
        same_row = [f"old.{name} = new.{name}" for name in ["path", *names]]
        # The same again with literals, by which delta-rs leaves all other partitions unread.
        pruned = [f"old.{name} IN ({_quoted({self._partition_of(file)[name] for file in files})})" for name in names]
        merger = table.merge(
            pa.RecordBatchReader.from_batches(schema, batches()),
            predicate=" AND ".join(same_row + pruned),
            source_alias="new",
            target_alias="old",
            commit_properties=commit,
        )
        merger.when_matched_update_all().when_not_matched_insert_all().execute()

    def _partition_of(self, file: WrittenFile) -> dict[str, str]:
        return {name: value for name, value in layout.partition_values(file.key).items() if name != "run"}

    def _read(self, file: WrittenFile, names: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        with self.bucket.open(file.key) as source:
            yield from pq.ParquetFile(source).iter_batches(batch_size=1024, columns=names)


def _removal(run: str) -> str:
    """Return the name of the transaction that removes the rows which a run has made stale."""
    return f"{run}/removal"


def _quoted(values: Iterable[str]) -> str:
    """Return SQL string literals, separated by commas."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
