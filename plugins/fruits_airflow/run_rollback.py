"""Takes a published run back: the tables and the current PCA are as they were before it."""

from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.transaction import CommitProperties, Transaction

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import (
    ERASED,
    HARMLESS,
    RESTORED,
    ROLLED_BACK,
    RUN,
    effective_commits,
    has_run,
    is_published,
    open_table,
)
from fruits_airflow.current import CurrentModels, make_current, read_current
from fruits_airflow.lease import Lease, lease_tables
from fruits_airflow.table_files import files_of, missing_from, partitions_of, remove_action, schema_of
from fruits_contract import columns, layout

# Features first: from then on the photos of the run count as new, whatever else fails.
TABLES = (layout.FEATURES_TABLE, layout.REJECTS_TABLE, layout.PROJECTED_TABLE)
ROLLED_BACK_RUN = "rolled_back"  # in a commit's metadata
EMPTY = -1  # the version before a table's first one


class CannotRollBackRun(RuntimeError):
    """The run cannot be taken back; nothing was changed, and the message says what stands in the way."""


@dataclass(frozen=True)
class _Return:
    """A table that has the run, and the version before it."""

    key: str
    table: DeltaTable
    version: int


def roll_back_run(bucket: Bucket, run: str) -> list[str]:
    """Return the tables to their versions before a run, and the current PCA to the one that it replaced.

    Only the newest published run can be taken back: later ones were built on it. What failed halfway is completed by another
    call. While the lease is held, nothing is published and nothing compacted; a run that was planned on the one taken back is
    refused when it publishes.

    Returns
    -------
    list of str
        What was done, for the log; empty when the run had been taken back completely before.

    Raises
    ------
    CannotRollBackRun
        The run was never published, later runs or other changes stand in the way, or a vacuum has deleted what it replaced.
    TablesAreBusy
        A publication took too long.
    """
    with lease_tables(bucket, holder=f"rollback of {run}") as lease:
        if not is_published(run, bucket=bucket):
            raise CannotRollBackRun(
                f"run {run} is in none of the tables; newest runs: {', '.join(_newest_runs(bucket)) or 'none'}"
            )
        opened = {key: open_table(bucket, key) for key in TABLES}
        returns = [_return_of(key, table, run) for key, table in opened.items() if table is not None and has_run(table, run)]
        pca = _replaced_pca(bucket, run)
        for each in returns:
            _check_files(bucket, each)
        return _roll_back(bucket, run, returns, pca=pca, lease=lease)


def _roll_back(bucket: Bucket, run: str, returns: list[_Return], *, pca: dict[str, str] | None, lease: Lease) -> list[str]:
    done = []
    features = [each for each in returns if each.key == layout.FEATURES_TABLE]
    for each in features:
        done.append(_restore(each, run, lease))
    if pca is not None:
        lease.check()
        make_current(bucket, kind="pca", model=pca, instead_of=run)
        done.append(f"{layout.CURRENT_MODELS}: PCA {pca.get('model_id', 'none')} is current again, instead of {run}")
    for each in returns:
        if each not in features:
            done.append(_restore(each, run, lease))
    return done


def _return_of(key: str, table: DeltaTable, run: str) -> _Return:
    """Return the version of a table before the run; refuse when something else was committed since."""
    later: list[str] = []
    others: list[str] = []
    for commit in effective_commits(table):
        if commit.get(RUN) == run:
            if later:
                commands = ", then ".join(f"RUN={name}" for name in later)
                raise CannotRollBackRun(f"later runs are built on {run}; roll them back first: {commands}")
            if others:
                raise CannotRollBackRun(f"{key} was changed by others since {run}: {', '.join(others)} (docs/runbook.md)")
            return _Return(key, table, int(commit["version"]) - 1)
        if ERASED in commit:
            raise CannotRollBackRun(
                f"contributed photos were erased from {key} after {run} or a later run, and must not come back; upload the other "
                "photos as they were and run the drop instead"
            )
        if RUN in commit:
            later.append(str(commit[RUN]))
        elif commit["operation"] not in HARMLESS:
            others.append(f"{commit['operation']} in version {commit['version']}")
    raise CannotRollBackRun(f"the commit of {run} is no longer in the log of {key} (docs/runbook.md)")


def _replaced_pca(bucket: Bucket, run: str) -> dict[str, str] | None:
    """Return the entry of the PCA that was current before the run's own; None where the run's own is not current."""
    current: CurrentModels = read_current(bucket)
    if current.models.get("pca", {}).get("run") != run:
        return None
    replaced: dict[str, str] | None = bucket.read_json(layout.replaced_pca(run))
    if replaced is None:
        raise CannotRollBackRun(
            f"run {run} was published by an earlier release, which did not record the PCA that it replaced (docs/runbook.md)"
        )
    return replaced


def _check_files(bucket: Bucket, each: _Return) -> None:
    """Refuse when a vacuum has deleted files of the earlier version."""
    if each.version == EMPTY:
        return
    current = {file.key for file in files_of(each.table, each.key)}
    before = DeltaTable(each.table.table_uri, version=each.version, storage_options=bucket.table_options())
    missing = missing_from(bucket, {file.key for file in files_of(before, each.key)} - current)
    if missing:
        raise CannotRollBackRun(
            f"a vacuum has deleted {len(missing)} files that {each.key} had before the run, e.g. {missing[0]}; upload "
            "the photos as they were and run the drop instead"
        )


def _restore(each: _Return, run: str, lease: Lease) -> str:
    """Return one table to its version, in one commit, and record that the run was taken back."""
    lease.check()
    properties = CommitProperties(
        app_transactions=[Transaction(run, ROLLED_BACK)],
        custom_metadata={ROLLED_BACK_RUN: run, RESTORED: str(each.version)},
    )
    if each.version != EMPTY:
        each.table.restore(each.version, commit_properties=properties)
        return f"{each.key}: restored to version {each.version}"
    # There is no version to restore: the run created the table.
    each.table.create_write_transaction(
        [remove_action(each.key, file) for file in files_of(each.table, each.key)],
        "append",
        schema_of(each.key),
        partition_by=partitions_of(each.key),
        commit_properties=properties,
    )
    return f"{each.key}: emptied, because the run created it"


def _newest_runs(bucket: Bucket) -> list[str]:
    """Return the newest run of each table."""
    newest = [
        next((str(commit[RUN]) for commit in effective_commits(open_table(bucket, key)) if RUN in commit), "")
        for key in columns.TABLES
    ]
    return sorted({run for run in newest if run})
