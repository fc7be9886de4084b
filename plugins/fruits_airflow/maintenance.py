"""Keeps the published tables tidy: compacts small files, and deletes those that no version of the last days needs."""

import logging
from dataclasses import dataclass

from deltalake import DeltaTable, WriterProperties

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import open_table
from fruits_airflow.lease import lease_tables
from fruits_airflow.rewriting import ROWS
from fruits_airflow.table_files import files_of
from fruits_contract import columns

log = logging.getLogger(__name__)

COMPACTED_BYTES = 128 * 2**20  # the largest file that a compaction writes: as much as a task of featurize
SMALL_BYTES = COMPACTED_BYTES // 2
RUNS_AT_ONCE = 100  # compacted in one commit: the others wait for the next hour
# How long a file stays that was replaced, taken out or never published. Longer than a run may take (three days, dagrun_timeout),
# because a fit reads the files that it has listed. Shorter than Delta's default of seven days, because what was computed from a
# photo must not outlive the photo, of which nothing may be left after 15 days: a bucket with versions (infra/storage.yaml) keeps
# each deleted object for another seven.
KEPT_HOURS = 5 * 24


@dataclass(frozen=True)
class Maintained:
    """What was done to one table."""

    table: str
    compacted: int
    deleted: int


def maintain_tables(bucket: Bucket) -> list[Maintained]:
    """Compact and vacuum each table that exists; doing it again changes nothing.

    Nothing is published or rolled back meanwhile. Runs that are under way are not disturbed: a compaction changes no row, which
    `publish` knows, and the files that it replaces stay for `KEPT_HOURS`.

    Raises
    ------
    TablesAreBusy
        A publication took too long.
    """
    done = []
    for key in columns.TABLES:
        with lease_tables(bucket, holder="maintenance"):
            table = open_table(bucket, key)
            if table is None:
                continue
            done.append(Maintained(key, compact(table, key), vacuum(table)))
            log.info("%s: %s small files compacted, %s files deleted", key, done[-1].compacted, done[-1].deleted)
    return done


def compact(table: DeltaTable, key: str) -> int:
    """Merge small files of the same drop and run, in one commit, and return how many were merged."""
    sizes: dict[str, list[int]] = {}
    for file in files_of(table, key):
        sizes.setdefault(file.key.rpartition("/")[0], []).append(file.size_bytes)
    folders = [folder for folder, of_files in sizes.items() if sum(size < SMALL_BYTES for size in of_files) > 1]
    runs = sorted({folder.rpartition("run=")[2] for folder in folders})[:RUNS_AT_ONCE]
    if not runs:
        return 0
    done = table.optimize.compact(
        partition_filters=[("run", "in", runs)],
        target_size=COMPACTED_BYTES,
        max_concurrent_tasks=1,
        # As the stages write them: small row groups keep the memory of their readers small.
        writer_properties=WriterProperties(compression="LZ4_RAW", max_row_group_size=ROWS),
    )
    return int(done["numFilesRemoved"])


def vacuum(table: DeltaTable) -> int:
    """Delete files that are in no version of the last `KEPT_HOURS`, also those that were never published; return their number."""
    # Each vacuum that deletes is two commits, and the log is read by planning.
    if not table.vacuum(KEPT_HOURS, dry_run=True, enforce_retention_duration=False, full=True):
        return 0
    return len(table.vacuum(KEPT_HOURS, dry_run=False, enforce_retention_duration=False, full=True))
