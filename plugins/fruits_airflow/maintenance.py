"""Keeps the published tables tidy: compacts small files, and deletes those that no version of the last days needs."""

import logging
import time
import uuid
from dataclasses import dataclass
from itertools import pairwise

from deltalake import ColumnProperties, DeltaTable, WriterProperties

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import open_table
from fruits_airflow.lease import POLL_S, Lease, lease_tables
from fruits_airflow.rewriting import ROWS
from fruits_airflow.table_files import files_of
from fruits_contract import columns

log = logging.getLogger(__name__)

COMPACTED_BYTES = 128 * 2**20  # the largest file that a compaction writes: as much as a task of featurize
# Read and written in one commit, while no run can be published: minutes at most. The others wait for the next hour.
AT_ONCE_BYTES = 2 * 2**30
# How long a file stays that was replaced, taken out or never published. Longer than a run may take (three days, dagrun_timeout),
# because a fit reads the files that it has listed. Shorter than Delta's default of seven days, because a bucket with versions
# (infra/storage.yaml) keeps each deleted object for another seven: together less than the 15 days that a raw photo may be kept.
KEPT_HOURS = 5 * 24
# Columns whose smallest and largest value delta-rs would copy into the table's log, where an erasure could not reach them.
PERSONAL = ("path", "contributor")
NO_STATISTICS = ColumnProperties(statistics_enabled="NONE")


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
    holder = f"maintenance {uuid.uuid4().hex[:8]}"  # not the same for a retry: the task before it may still run
    deleted: dict[str, int] = {}
    compacted: dict[str, int] = {}
    # Deleting comes first: it must not depend on a compaction, which takes longer and may fail.
    for work, counts in ((vacuum, deleted), (compact, compacted)):
        for key in columns.TABLES:
            with lease_tables(bucket, holder=holder) as lease:
                table = open_table(bucket, key)
                if table is not None:
                    counts[key] = work(table, key, lease)
            time.sleep(2 * POLL_S)  # others who wait for the lease see that it is free
    log.info("small files compacted: %s; files deleted: %s", compacted, deleted)
    return [Maintained(key, compacted[key], deleted[key]) for key in deleted]


def compact(table: DeltaTable, key: str, lease: Lease) -> int:
    """Merge small files of the same drop and run, in one commit, and return how many were merged."""
    sizes: dict[str, list[int]] = {}
    for file in files_of(table, key):
        sizes.setdefault(file.key.rpartition("/")[0], []).append(file.size_bytes)
    runs: list[str] = []
    total = 0
    for folder, of_files in sorted(sizes.items()):
        # delta-rs merges neighbours only.
        is_mergeable = any(one + other <= COMPACTED_BYTES for one, other in pairwise(of_files))
        # The first one always: a run may be larger than that by itself.
        if is_mergeable and (not runs or total + sum(of_files) <= AT_ONCE_BYTES):
            total += sum(of_files)
            runs.append(folder.rpartition("run=")[2])
    if not runs:
        return 0
    lease.check()
    done = table.optimize.compact(
        partition_filters=[("run", "in", runs)],
        target_size=COMPACTED_BYTES,
        max_concurrent_tasks=1,
        # As the stages write them: small row groups keep the memory of their readers small.
        writer_properties=WriterProperties(
            compression="LZ4_RAW", max_row_group_size=ROWS, column_properties=dict.fromkeys(PERSONAL, NO_STATISTICS)
        ),
    )
    return int(done["numFilesRemoved"])


def vacuum(table: DeltaTable, key: str, lease: Lease) -> int:
    """Delete files that are in no version of the last `KEPT_HOURS`, also those that were never published; return their number."""
    # Each vacuum that deletes is two commits, and the log is read by planning.
    if not table.vacuum(KEPT_HOURS, dry_run=True, enforce_retention_duration=False, full=True):
        return 0
    lease.check()
    return len(table.vacuum(KEPT_HOURS, dry_run=False, enforce_retention_duration=False, full=True))
