"""A run's files become rows of a table once, together, and without harm to anybody else's."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from deltalake import DeltaTable
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import has_run, is_published
from fruits_airflow.tables import MissingFiles, PublishedTable
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile
from tests.fixtures.published_run import features_row, read_rows, write_rows

pytestmark = pytest.mark.slow


@pytest.fixture
def table(bucket: Bucket) -> PublishedTable:
    return PublishedTable(bucket, layout.FEATURES_TABLE)


def write(bucket: Bucket, run: str, paths: list[str], *, drop: str = "first", part: int = 0) -> WrittenFile:
    """Write a file of features, one row per path."""
    photos = [{"path": path, "etag": f"etag-{run}", "label": "Apple", "contributor": ""} for path in paths]
    key = f"{layout.features_part(drop, run)}part-{part:05}.snappy.parquet"
    return write_rows(bucket, key, [features_row(photo) for photo in photos], columns.FEATURES)


def etags(table: PublishedTable) -> dict[str, str]:
    rows = table.rows("path", "etag").to_pylist()
    found = {row["path"]: row["etag"] for row in rows}
    assert len(found) == len(rows), "a path has two rows"
    return found


def version(table: PublishedTable) -> int:
    opened = table.open()
    assert opened is not None
    return opened.version()


def test_before_the_first_commit_there_are_no_files_and_no_rows(table: PublishedTable) -> None:
    assert table.open() is None
    assert table.files() == []
    rows = table.rows("path", "etag", drop="first")
    assert rows.num_rows == 0
    assert rows.column_names == ["path", "etag"]


def test_a_run_without_rows_does_not_make_a_table(table: PublishedTable) -> None:
    assert not table.publish([], run="r1")
    assert table.open() is None


def test_publishing_adds_exactly_the_files_of_the_run(table: PublishedTable, bucket: Bucket) -> None:
    files = [write(bucket, "r1", ["a", "b"]), write(bucket, "r1", ["c"], part=1)]
    write(bucket, "r1", ["left over by a failed attempt"], part=2)
    assert table.publish(files, run="r1")
    assert table.files() == [file.key for file in files]
    assert etags(table) == dict.fromkeys("abc", "etag-r1")


def test_the_next_run_is_added_to_what_is_there(table: PublishedTable, bucket: Bucket) -> None:
    first, second = write(bucket, "r1", ["a"]), write(bucket, "r2", ["b"])
    table.publish([first], run="r1")
    assert table.publish([second], run="r2")
    assert table.files() == [first.key, second.key]
    assert etags(table) == {"a": "etag-r1", "b": "etag-r2"}
    assert version(table) == 1


def test_publishing_twice_is_publishing_once(table: PublishedTable, bucket: Bucket) -> None:
    files = [write(bucket, "r1", ["a"])]
    table.publish(files, run="r1")
    assert not table.publish(files, run="r1")
    assert version(table) == 0
    assert etags(table) == {"a": "etag-r1"}


def test_a_path_that_comes_again_replaces_its_row_in_one_commit(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r1", ["a", "b", "c"])], run="r1")
    again = [write(bucket, "r2", ["b", "d"])]
    assert table.publish(again, run="r2")
    assert version(table) == 1
    assert etags(table) == {"a": "etag-r1", "b": "etag-r2", "c": "etag-r1", "d": "etag-r2"}
    assert not table.publish(again, run="r2")
    assert version(table) == 1


def test_a_replaced_row_is_complete_and_belongs_to_the_new_run(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r1", ["a"])], run="r1")
    table.publish([write(bucket, "r2", ["a"])], run="r2")
    (row,) = table.rows(*columns.FEATURES, "drop", "run").to_pylist()
    assert (row["drop"], row["run"], row["etag"]) == ("first", "r2", "etag-r2")
    assert row["features"] == [0.5] * 4
    assert row["width"] == 100


def test_the_same_path_in_another_drop_is_another_row(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r1", ["a"])], run="r1")
    table.publish([write(bucket, "r2", ["a"], drop="second")], run="r2")
    rows = table.rows("path", "etag", "drop").to_pylist()
    assert {(row["drop"], row["etag"]) for row in rows} == {("first", "etag-r1"), ("second", "etag-r2")}


def test_rows_are_those_of_the_requested_partition(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r1", ["a", "b"]), write(bucket, "r1", ["c"], drop="second")], run="r1")
    assert table.rows("path", drop="second").to_pylist() == [{"path": "c"}]
    assert table.rows("path", drop="nobody's").num_rows == 0
    assert table.rows("path").num_rows == 3


def test_the_runs_of_a_table_are_found(table: PublishedTable, bucket: Bucket) -> None:
    assert not has_run(table.open(), "r1")
    table.publish([write(bucket, "r1", ["a"])], run="r1")
    assert has_run(table.open(), "r1")
    assert not has_run(table.open(), "r2")
    assert is_published("r1", bucket=bucket)
    assert not is_published("r2", bucket=bucket)


def test_rows_that_are_gone_leave_their_drop_in_the_same_commit_and_no_others(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r1", ["it's", "b"]), write(bucket, "r1", ["it's"], drop="second")], run="r1")
    table.publish([write(bucket, "r2", ["d"])], run="r2")
    gone = write(bucket, "r3", ["it's", "d", "new"], part=1)
    before = version(table)
    assert table.publish([write(bucket, "r3", ["c"])], run="r3", gone=[gone])
    assert version(table) == before + 1
    rows = table.rows("path", "drop", "run").to_pylist()
    assert {(row["path"], row["drop"], row["run"]) for row in rows} == {
        ("b", "first", "r1"),
        ("c", "first", "r3"),
        ("it's", "second", "r1"),
    }
    assert not table.publish([], run="r4", gone=[gone])
    assert version(table) == before + 1


def test_a_missing_table_has_nothing_to_take_out(table: PublishedTable, bucket: Bucket) -> None:
    assert not table.publish([], run="r1", gone=[write(bucket, "r1", ["a"])])
    assert table.open() is None


def test_a_run_without_rows_is_recorded_where_that_is_wanted(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r1", ["a"])], run="r1")
    assert table.publish([], run="r2", even_empty=True)
    assert has_run(table.open(), "r2")
    assert etags(table) == {"a": "etag-r1"}


def test_a_file_that_is_missing_is_not_committed(table: PublishedTable, bucket: Bucket, s3: S3Client) -> None:
    files = [write(bucket, "r1", ["a"]), write(bucket, "r1", ["b"], part=1)]
    s3.delete_object(Bucket=bucket.name, Key=files[1].key)
    with pytest.raises(MissingFiles, match=r"1 files of the run are not in the bucket, e\.g\. .*part-00001"):
        table.publish(files, run="r1")
    assert table.open() is None


def test_only_files_with_replaced_rows_are_written_again_in_their_partition(table: PublishedTable, bucket: Bucket) -> None:
    kept, replaced = write(bucket, "r1", ["a", "b"]), write(bucket, "r1", ["c", "d"], part=1)
    table.publish([kept, replaced], run="r1")
    new = write(bucket, "r2", ["c"])
    table.publish([new], run="r2")
    (rewritten,) = set(table.files()) - {kept.key, new.key}
    assert rewritten.startswith(f"{layout.features_part('first', 'r1')}rewritten-")
    assert [row["path"] for row in read_rows(bucket, rewritten)] == ["d"]


@pytest.fixture
def all_open_the_same_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let that many publishers see the same version before any of them commits."""

    def prepare(publishers: int) -> None:
        together = threading.Barrier(publishers, timeout=60)
        opened = threading.local()
        really_open = PublishedTable.open

        def open_together(self: PublishedTable) -> DeltaTable | None:
            found = really_open(self)
            if threading.current_thread() is not threading.main_thread() and not getattr(opened, "once", False):
                opened.once = True
                together.wait()
            return found

        monkeypatch.setattr(PublishedTable, "open", open_together)

    return prepare


@pytest.mark.parametrize("is_first", [True, False], ids=["new-table", "old-table"])
def test_publishers_at_the_same_time_lose_nothing(
    table: PublishedTable, bucket: Bucket, is_first: bool, all_open_the_same_version: Callable[[int], None]
) -> None:
    if not is_first:
        table.publish([write(bucket, "r0", ["z"])], run="r0")
    runs = {run: [write(bucket, run, [f"{run}-a", f"{run}-b"])] for run in ("r1", "r2", "r3")}
    all_open_the_same_version(len(runs))
    with ThreadPoolExecutor(len(runs)) as pool:
        assert all(pool.map(lambda run: table.publish(runs[run], run=run), runs))
    expected = {f"{run}-{name}": f"etag-{run}" for run in runs for name in "ab"} | ({} if is_first else {"z": "etag-r0"})
    assert etags(table) == expected


def test_two_runs_that_add_the_same_path_at_the_same_time_leave_one_row(
    table: PublishedTable, bucket: Bucket, all_open_the_same_version: Callable[[int], None]
) -> None:
    # Two appends: nothing that Delta itself would see as a conflict.
    table.publish([write(bucket, "r0", ["a"])], run="r0")
    runs = {run: [write(bucket, run, ["b"])] for run in ("r1", "r2")}
    all_open_the_same_version(len(runs))
    with ThreadPoolExecutor(len(runs)) as pool:
        assert all(pool.map(lambda run: table.publish(runs[run], run=run), runs))
    assert set(etags(table)) == {"a", "b"}


def test_two_runs_that_replace_the_same_path_at_the_same_time_leave_one_row(table: PublishedTable, bucket: Bucket) -> None:
    table.publish([write(bucket, "r0", ["a", "b"])], run="r0")
    runs = {run: [write(bucket, run, ["a"])] for run in ("r1", "r2")}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: table.publish(runs[run], run=run), runs))
    assert set(etags(table)) == {"a", "b"}
    assert etags(table)["a"] in {"etag-r1", "etag-r2"}


def test_a_table_of_an_earlier_release_gets_the_new_column(
    bucket: Bucket, table: PublishedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        before = {name: kind for name, kind in columns.FEATURES.items() if name != "colors"}
        earlier.setattr(columns, "FEATURES", before)
        earlier.setitem(columns.TABLES, layout.FEATURES_TABLE, columns.TableColumns(before, ("drop", "run")))
        table.publish([write(bucket, "r1", ["1.jpg", "2.jpg"])], run="r1")
    opened = table.open()
    assert opened is not None
    assert "colors" not in {field.name for field in opened.schema().fields}

    assert table.publish([write(bucket, "r2", ["3.jpg"])], run="r2")  # appended
    assert table.publish([write(bucket, "r3", ["1.jpg"])], run="r3")  # a photo that was replaced
    rows = {row["path"]: (row["run"], row["colors"]) for row in table.rows("path", "run", "colors").to_pylist()}
    assert rows == {"1.jpg": ("r3", [0.25] * 4), "2.jpg": ("r1", None), "3.jpg": ("r2", [0.25] * 4)}
