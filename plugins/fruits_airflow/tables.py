"""The published tables: Delta Lake in the bucket, to which a run's Parquet files are committed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import tenacity
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction, create_table_with_add_actions

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import HARMLESS, PUBLISHED, RUN, effective_commits, open_table
from fruits_airflow.rewriting import Paths, Rewritten, paths_in, rewrite_without
from fruits_airflow.table_files import add_action, files_of, missing_from, partitions_of, remove_action, schema_of
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile

COMMITS_READ = 20
MAX_CONFLICTS = 30  # each means that another publisher has committed
CONFLICTS_LIMIT_S = 600


class MissingFiles(FileNotFoundError):
    """A run's files are not in the bucket (any more); nothing is committed."""


@dataclass(frozen=True)
class PublishedTable:
    """One table of the bucket; `key` is one of `columns.TABLES`."""

    bucket: Bucket
    key: str

    def open(self) -> DeltaTable | None:
        """Return the current version, or None before the first commit."""
        return open_table(self.bucket, self.key)

    def rows(self, *names: str, **equal: str) -> pa.Table:
        """Return the columns `names` of the rows where others have a value, e.g. `rows("path", drop="first")`."""
        table = self.open()
        if table is None:
            return pa.table({name: pa.array([], pa.string()) for name in names})
        filters = [(name, "=", value) for name, value in equal.items()]
        return table.to_pyarrow_table(columns=list(names), filters=filters or None)

    def files(self) -> list[str]:
        """Return the keys of the Parquet files in the current version."""
        table = self.open()
        return [file.key for file in files_of(table, self.key)] if table else []

    def count_rows(self) -> int:
        """Return the number of rows, from the table's log alone."""
        table = self.open()
        if table is None:
            return 0
        return sum(pa.table(table.get_add_actions(flatten=True))["num_records"].to_pylist())

    def is_unchanged_since(self, files: Sequence[str]) -> bool:
        """Return whether the table has the rows of the version with `files`: at most compactions were committed since."""
        table = self.open()
        if table is None:
            return not files
        for commit in table.history():
            table.load_as_version(commit["version"])
            if [file.key for file in files_of(table, self.key)] == sorted(files):
                return True
            if commit["operation"] not in HARMLESS:
                return False
        return False

    def newest_run(self) -> str:
        """Return the run that was committed last, of those that a restored table has; '' where the newest commits have none."""
        return next((str(commit[RUN]) for commit in effective_commits(self.open(), COMMITS_READ) if RUN in commit), "")

    def publish(
        self,
        files: Sequence[WrittenFile],
        *,
        run: str,
        gone: Sequence[WrittenFile] = (),
        even_empty: bool = False,
        before_commit: Callable[[], None] | None = None,
    ) -> bool:
        """Commit the files of a run, once, with the run's name as Delta application transaction.

        The same commit takes out the rows that the run replaces: those whose path is in `files` of the same partition (without
        `run`), and those whose path is in `gone`, files of another table, of the same drop. Only files that hold such rows are
        read and written again. After a conflict with another publisher all of it is done again on the newer version.

        Parameters
        ----------
        even_empty
            Commit to an existing table also when there is nothing to add or to take out, so that the table has the run.
        before_commit
            Called when all files are written; what it raises keeps the commit from being made.

        Returns
        -------
        bool
            False when nothing was committed: the run had been committed before, or has nothing for this table.

        Raises
        ------
        MissingFiles
            A file of the run is not in the bucket (any more).
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_conflict),
            stop=tenacity.stop_after_attempt(MAX_CONFLICTS) | tenacity.stop_after_delay(CONFLICTS_LIMIT_S),
            wait=tenacity.wait_random(0, 0.5),
            reraise=True,
        )
        return retrying(self._publish_once, files, run=run, gone=gone, even_empty=even_empty, before_commit=before_commit)

    def _publish_once(
        self,
        files: Sequence[WrittenFile],
        *,
        run: str,
        gone: Sequence[WrittenFile],
        even_empty: bool,
        before_commit: Callable[[], None] | None,
    ) -> bool:
        table = self.open()
        if table is not None and table.transaction_version(run) is not None:
            return False
        self.check_existing(files)
        if table is None:
            if files:
                if before_commit:
                    before_commit()
                self._create(files, run=run)
            return bool(files)
        self._add_missing_columns(table)
        actions: list[AddAction | RemoveAction] = [add_action(self.key, file) for file in files]
        for rewritten in self._rewrite(table, files, gone):
            actions.append(remove_action(self.key, rewritten.old))
            if rewritten.new:
                actions.append(add_action(self.key, rewritten.new))
        if not actions and not even_empty:
            return False
        drops = {_drop_of(file) for file in [*files, *gone]}
        # Opened anew: the keys that `table` was opened with may have expired while files were rewritten.
        planned_on = DeltaTable(table.table_uri, version=table.version(), storage_options=self.bucket.table_options())
        if before_commit:
            before_commit()
        planned_on.create_write_transaction(
            actions,
            "append",
            schema_of(self.key),
            partition_by=partitions_of(self.key),
            commit_properties=_commit_properties(run, drops, table.version() + 1),
        )
        return True

    def _create(self, files: Sequence[WrittenFile], *, run: str) -> None:
        create_table_with_add_actions(
            self.bucket.uri(self.key),
            schema_of(self.key),
            [add_action(self.key, file) for file in files],
            mode="error",
            partition_by=partitions_of(self.key),
            storage_options=self.bucket.table_options(),
            commit_properties=_commit_properties(run, set(), 0),
        )

    def check_existing(self, files: Sequence[WrittenFile]) -> None:
        """Raise `MissingFiles` when one is missing: Delta would commit it all the same."""
        if missing := missing_from(self.bucket, [file.key for file in files]):
            raise MissingFiles(f"{len(missing)} files of the run are not in the bucket, e.g. {self.bucket.uri(missing[0])}")

    def _rewrite(self, table: DeltaTable, files: Sequence[WrittenFile], gone: Sequence[WrittenFile]) -> Iterator[Rewritten]:
        """Rewrite the table's files that hold rows which the run replaces or takes out, one after the other."""
        schema = columns.arrow_schema(columns.TABLES[self.key].columns)
        sources: dict[tuple[str, ...], list[WrittenFile]] = {}
        for file in files:
            sources.setdefault(self._partition_of(file), []).append(file)
        gone_by_drop: dict[str, list[WrittenFile]] = {}
        for file in gone:
            gone_by_drop.setdefault(_drop_of(file), []).append(file)
        replaced: dict[tuple[str, ...], Paths] = {}
        for old in files_of(table, self.key):
            partition = self._partition_of(old)
            if partition not in sources and _drop_of(old) not in gone_by_drop:
                continue
            if partition not in replaced:
                with_paths = [*sources.get(partition, []), *gone_by_drop.get(_drop_of(old), [])]
                replaced[partition] = paths_in(self.bucket, with_paths)
            rewritten = rewrite_without(self.bucket, old, replaced[partition], schema=schema)
            if rewritten:
                yield rewritten

    def _add_missing_columns(self, table: DeltaTable) -> None:
        """Add the columns that the table lacks, because an earlier release created it; its rows have none in them."""
        existing = {field.name for field in table.schema().fields}
        missing = [field for field in schema_of(self.key).fields if field.name not in existing]
        if missing:
            table.alter.add_columns(missing)

    def _partition_of(self, file: WrittenFile) -> tuple[str, ...]:
        """Return the partition of a file without its run: within it, a path has one row."""
        return tuple(value for name, value in layout.partition_values(file.key).items() if name != "run")


def _drop_of(file: WrittenFile) -> str:
    return layout.partition_values(file.key)["drop"]


def _commit_properties(run: str, drops: set[str], version: int) -> CommitProperties:
    """Return what a publication writes beside its files.

    Delta sees no conflict between two appends. The transactions named after the drops make two publications of one drop
    conflict, so that the later one sees the rows of the other.
    """
    transactions = [Transaction(run, PUBLISHED), *(Transaction(f"drop={drop}", version) for drop in sorted(drops))]
    return CommitProperties(app_transactions=transactions, custom_metadata={RUN: run}, max_commit_retries=MAX_CONFLICTS)


def _is_conflict(error: BaseException) -> bool:
    """Return whether another publisher was faster: the commit was refused, or the table created."""
    return isinstance(error, CommitFailedError) or (isinstance(error, DeltaError) and "already exists" in str(error))
