"""Takes contributions out of what runs have written: lists of photos, CSVs, reports, model cards, logs of steps and of tables."""

import csv
import io
import logging
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fruits_airflow.bucket import Bucket, ObjectVersion
from fruits_airflow.erasure.contents import UNREADABLE, contributed_paths, downloaded, names_in, unzipped
from fruits_airflow.erasure.subjects import Subjects
from fruits_contract import columns, layout

log = logging.getLogger(__name__)

# All outputs must be read within the hour that a run of fruits_housekeeping may take. A boto3 client keeps ten connections.
READERS = 10
IN_PLACE = "erased"  # instead of a name in text that has no rows
# Arrays are numbers only, and a checkpoint of a table's log has nothing that its commits do not have.
NO_TEXT = (".npz", ".tflite", ".keras", ".checkpoint.parquet")
PREFIXES = (layout.RUNS, layout.LOGS, layout.MODELS, *map(layout.delta_log, columns.TABLES))


def outputs_with_names(bucket: Bucket, subjects: Subjects) -> Iterator[tuple[ObjectVersion, set[str]]]:
    """Yield the versions of outputs in which a contribution or the contributor's hash occurs, and which of them."""
    since = subjects.since
    versions = [
        version
        for prefix in PREFIXES
        for version in bucket.versions(prefix)
        if not version.is_marker and not version.key.endswith(NO_TEXT) and version.modified >= since
    ]
    with ThreadPoolExecutor(READERS) as readers:
        names = readers.map(lambda version: _names_in_version(bucket, version, subjects), versions)
        yield from ((version, found) for version, found in zip(versions, names, strict=True) if found)


def erase_from_outputs(bucket: Bucket, subjects: Subjects) -> None:
    """Rewrite the outputs that name a contribution, and delete their earlier versions; logs of steps and .gz are deleted."""
    for version, found in list(outputs_with_names(bucket, subjects)):
        subjects.record(found, _place(version.key), version.key)
        subjects.save(bucket)
        if version.is_current and not version.key.startswith(layout.LOGS) and not version.key.endswith(".gz"):
            with downloaded(bucket, version) as old, tempfile.TemporaryFile() as new:
                _rewrite(old, new, version.key, subjects)
                new.seek(0)
                bucket.upload(version.key, new)
            bucket.delete_earlier_versions(version.key)
        else:
            bucket.delete_versions([version])


def _names_in_version(bucket: Bucket, version: ObjectVersion, subjects: Subjects) -> set[str]:
    try:
        with downloaded(bucket, version) as file:
            return _names_of(file, version.key, subjects)
    except FileNotFoundError:  # deleted since it was listed
        return set()


def _place(key: str) -> str:
    if key.startswith(layout.LOGS):
        return "logs of steps"
    if key.startswith(layout.MODELS):
        return "model cards"
    return "logs of tables" if layout.is_in_delta_log(key) else f"outputs of runs: {key.rpartition('/')[2]}"


def _names_of(file: IO[bytes], key: str, subjects: Subjects) -> set[str]:
    """Return the names in an output: in its content, or in its bytes as they are where they are damaged."""
    try:
        return _names_in_content(file, key, subjects)
    except UNREADABLE:
        file.seek(0)
        return names_in(file, subjects.names)


def _names_in_content(file: IO[bytes], key: str, subjects: Subjects) -> set[str]:
    if key.endswith(".parquet"):
        found = set(contributed_paths(file, subjects.contributions).values())
        file.seek(0)
        return found | names_in(file, subjects.names)
    with unzipped(file, key=key) as content:
        return names_in(content, subjects.names)


def _rewrite(old: IO[bytes], new: IO[bytes], key: str, subjects: Subjects) -> None:
    """Copy an output without the contributions: without their rows where it has rows, without their names otherwise."""
    if key.endswith(".parquet"):
        _copy_rows(old, new, subjects)
    elif key.endswith(".csv"):
        _copy_lines(old, new, subjects)
    else:
        content = old.read()
        for name in subjects.names:
            content = content.replace(name.encode(), IN_PLACE.encode())
        new.write(content)


def _copy_rows(old: IO[bytes], new: IO[bytes], subjects: Subjects) -> None:
    content = pq.ParquetFile(old)
    erased = pa.array(list(contributed_paths(old, subjects.contributions)), pa.string())
    with pq.ParquetWriter(new, content.schema_arrow) as out:
        for number in range(content.num_row_groups):
            rows = content.read_row_group(number)
            is_kept = pc.invert(pc.is_in(rows["path"].cast(pa.string()), value_set=erased))
            out.write_table(rows.filter(is_kept))


def _copy_lines(old: IO[bytes], new: IO[bytes], subjects: Subjects) -> None:
    """Copy the rows of a CSV as the stage wrote them; a name may hold a line break."""
    source = io.TextIOWrapper(old, encoding="utf-8", errors="surrogateescape", newline="")
    target = io.TextIOWrapper(new, encoding="utf-8", errors="surrogateescape", newline="")
    writer = csv.writer(target)
    for row in csv.reader(source):
        if not any(name in cell for name in subjects.names for cell in row):
            writer.writerow(row)
    target.flush()
    source.detach()
    target.detach()
