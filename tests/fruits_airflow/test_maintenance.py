"""Compaction and vacuum change no row, disturb no run that is under way, and delete nothing that is still needed."""

import io
import json

import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow import maintenance
from fruits_airflow.bucket import Bucket
from fruits_airflow.current import read_current
from fruits_airflow.maintenance import Maintained, maintain_tables
from fruits_airflow.publishing import publish_run
from fruits_airflow.run_rollback import roll_back_run
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile
from tests.fixtures.published_run import (
    EXTRACTOR,
    add_photos,
    features_row,
    plan,
    projected_on_current_pca,
    published,
    read_rows,
    run_drop,
    run_stages,
    write_rows,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def table(bucket: Bucket) -> PublishedTable:
    return PublishedTable(bucket, layout.FEATURES_TABLE)


def write(bucket: Bucket, run: str, names: list[str], *, part: int = 0) -> WrittenFile:
    photos = [{"path": f"raw/first/Apple/{name}.jpg", "etag": run, "label": "Apple", "contributor": ""} for name in names]
    key = f"{layout.features_part('first', run)}part-{part:05}.parquet"
    return write_rows(bucket, key, [features_row(photo) for photo in photos], columns.FEATURES)


def paths(table: PublishedTable) -> list[tuple[str, str]]:
    return sorted((row["path"][-5], row["run"]) for row in table.rows("path", "run").to_pylist())


def objects(bucket: Bucket) -> set[str]:
    return {item.key for item in bucket.objects(f"{layout.FEATURES_TABLE}/drop=")}


def test_small_files_of_a_drop_become_one_with_the_same_rows(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r1", [name], part=part) for part, name in enumerate("abc")], run="r1")
    table.publish([write(bucket, "r2", ["d"])], run="r2")
    before = sorted(map(str, table.rows(*columns.FEATURES, "drop", "run").to_pylist()))
    assert maintain_tables(bucket) == [Maintained(layout.FEATURES_TABLE, 3, 0)]
    assert sorted(map(str, table.rows(*columns.FEATURES, "drop", "run").to_pylist())) == before
    compacted, other = table.files()
    assert compacted.startswith(layout.features_part("first", "r1"))
    assert other.startswith(layout.features_part("first", "r2"))
    assert maintain_tables(bucket) == [Maintained(layout.FEATURES_TABLE, 0, 0)]


def test_what_is_too_much_for_one_commit_waits_for_the_next_hour(
    table: PublishedTable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "AT_ONCE_BYTES", 1)
    for run, names in (("r1", "ab"), ("r2", "cd")):
        table.publish([write(bucket, run, [name], part=part) for part, name in enumerate(names)], run=run)
    compacted = [maintain_tables(bucket)[0].compacted for _ in range(3)]
    assert compacted == [2, 2, 0], "one run an hour, although each is larger than the bound"


def test_a_compacted_file_has_small_row_groups(table: PublishedTable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "ROWS", 2)
    table.publish([write(bucket, "r1", ["a", "b"]), write(bucket, "r1", ["c"], part=1)], run="r1")
    maintain_tables(bucket)
    (key,) = table.files()
    metadata = pq.ParquetFile(io.BytesIO(bucket.read(key))).metadata
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [2, 1]


def test_a_row_of_a_compacted_file_is_replaced(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r1", [name], part=part) for part, name in enumerate("abc")], run="r1")
    maintain_tables(bucket)
    table.publish([write(bucket, "r2", ["b"])], run="r2")
    assert paths(table) == [("a", "r1"), ("b", "r2"), ("c", "r1")]


def compact_features(bucket: Bucket) -> None:
    """Compact the files of run r0."""
    table = PublishedTable(bucket, layout.FEATURES_TABLE)
    before = table.files()
    maintain_tables(bucket)
    assert table.files() != before


def test_a_compaction_does_not_disturb_a_fit(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "second", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "second")
    PublishedTable(bucket, layout.FEATURES_TABLE).publish(
        [write(bucket, "r0", [name], part=part) for part, name in enumerate("ab")], run="r0"
    )
    add_photos(s3, bucket, "third", ["Apple/0.jpg"])
    params = plan(bucket, deployment, "r2", "third", mode="fit")
    compact_features(bucket)
    assert [read_rows(bucket, key) for key in json.loads(bucket.read(layout.retained("r2")))], "its files are still there"
    run_stages(bucket, params)
    publish_run(bucket, params)
    assert read_current(bucket).pca_of(EXTRACTOR) == "r2"
    assert projected_on_current_pca(bucket) == published(bucket)["features"]


def test_a_run_can_be_taken_back_after_a_compaction(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r0", ["z"])], run="r0")
    table.publish([write(bucket, "r1", [name], part=part) for part, name in enumerate("az")], run="r1")
    compact_features(bucket)
    assert table.newest_run() == "r1"
    roll_back_run(bucket, "r1")
    assert paths(table) == [("z", "r0")]


def test_what_nobody_needs_is_deleted_after_its_time(
    table: PublishedTable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = write(bucket, "r1", ["a", "b"])
    table.publish([replaced], run="r1")
    table.publish([write(bucket, "r2", ["a"])], run="r2")
    failed = write(bucket, "r3", ["c"])  # a run that was never published
    before = objects(bucket)
    assert maintain_tables(bucket) == [Maintained(layout.FEATURES_TABLE, 0, 0)]
    assert objects(bucket) == before

    monkeypatch.setattr(maintenance, "KEPT_HOURS", 0)
    assert maintain_tables(bucket) == [Maintained(layout.FEATURES_TABLE, 0, 2)]
    assert before - objects(bucket) == {replaced.key, failed.key}
    assert paths(table) == [("a", "r2"), ("b", "r1")]
