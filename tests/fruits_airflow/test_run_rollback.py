"""A run that is taken back leaves tables and current PCA as they were before it, and its photos are new again."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from mypy_boto3_s3 import S3Client

from fruits_airflow import rollback, run_rollback
from fruits_airflow.bucket import Bucket
from fruits_airflow.current import read_current
from fruits_airflow.lease import lease_tables
from fruits_airflow.publishing import publish_run
from fruits_airflow.run_rollback import CannotRollBackRun, roll_back_run
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_airflow.ui.features_runs import read_runs
from fruits_contract import columns, layout
from tests.fixtures.published_run import (
    EXTRACTOR,
    NOTHING,
    add_photos,
    plan,
    projected_on_current_pca,
    published,
    run_drop,
    run_stages,
)

pytestmark = pytest.mark.slow


def state(bucket: Bucket) -> Any:
    """Return all rows of the tables and the current models."""
    rows = {key: PublishedTable(bucket, key).rows("path", "run", "drop").to_pylist() for key in columns.TABLES}
    by_path = {key: sorted(map(str, found)) for key, found in rows.items()}
    return by_path, read_current(bucket).models


@pytest.fixture
def two_runs(bucket: Bucket, deployment: Settings, s3: S3Client) -> Any:
    """Two published runs of one drop: the second replaces a photo, spoils one and repairs one. Returns the state in between."""
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg", "Apple/2.jpg", "Apple/3.jpg"])
    run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/3.jpg"])
    between = state(bucket)
    add_photos(s3, bucket, "first", ["Apple/1.jpg", "Apple/2.jpg", "Apple/3.jpg"], content=b"other")
    run_drop(bucket, deployment, "r2", "first", unreadable=["Apple/2.jpg"], mode="fit")
    assert state(bucket) != between
    return between


@pytest.mark.parametrize("mode", ["auto", "fit"])
def test_a_drop_that_was_taken_back_is_new_and_can_be_published_again(
    bucket: Bucket, deployment: Settings, s3: S3Client, mode: str
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Pear/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    before = state(bucket)
    add_photos(s3, bucket, "second", ["Apple/1.jpg", "Apple/2.jpg"])
    run_drop(bucket, deployment, "r2", "second", mode=mode)
    assert roll_back_run(bucket, "r2")
    assert state(bucket) == before
    assert PublishedTable(bucket, layout.PROJECTED_TABLE).newest_run() == "r1"

    # Without the photo that was the problem.
    s3.delete_object(Bucket=bucket.name, Key=layout.raw_image("second", "Apple", "2.jpg"))
    params = run_drop(bucket, deployment, "r3", "second", mode=mode)
    assert published(bucket)["features"] == ["first/Apple/0.jpg", "first/Pear/0.jpg", "second/Apple/1.jpg"]
    assert projected_on_current_pca(bucket) == published(bucket)["features"]
    assert params.pca == ("r3" if mode == "fit" else "r1")


def test_replaced_spoilt_and_repaired_rows_come_back(bucket: Bucket, two_runs: Any) -> None:
    roll_back_run(bucket, "r2")
    assert state(bucket) == two_runs


def test_a_run_that_was_taken_back_is_neither_published_nor_taken_back_again(
    bucket: Bucket, deployment: Settings, s3: S3Client
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    params = run_drop(bucket, deployment, "r1", "first")
    roll_back_run(bucket, "r1")
    assert published(bucket) == NOTHING
    with pytest.raises(AirflowFailException, match="run r1 was rolled back; run the drop again"):
        publish_run(bucket, params)
    assert roll_back_run(bucket, "r1") == []
    assert [run.verdict for run in read_runs(bucket, {})] == ["rolled back"]


def test_the_first_run_leaves_empty_tables_and_no_pca(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/broken.jpg"])
    run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/broken.jpg"])
    done = roll_back_run(bucket, "r1")
    assert "tables/features: emptied, because the run created it" in done
    assert published(bucket) == NOTHING
    assert read_current(bucket).models == {}
    assert PublishedTable(bucket, layout.PROJECTED_TABLE).newest_run() == ""
    run_drop(bucket, deployment, "r2", "first", unreadable=["Apple/broken.jpg"])
    assert published(bucket)["features"] == ["first/Apple/0.jpg"]
    roll_back_run(bucket, "r2")
    assert published(bucket) == NOTHING


def test_later_runs_are_taken_back_first(bucket: Bucket, two_runs: Any, deployment: Settings, s3: S3Client) -> None:
    for number, run in enumerate(["r3", "r4"]):
        add_photos(s3, bucket, run, [f"Apple/{number}.jpg"])
        run_drop(bucket, deployment, run, run)
    before = state(bucket)
    with pytest.raises(CannotRollBackRun, match=r"later runs are built on r2; roll them back first: RUN=r4, then RUN=r3$"):
        roll_back_run(bucket, "r2")
    assert state(bucket) == before
    for run in ("r4", "r3", "r2"):
        roll_back_run(bucket, run)
    assert state(bucket) == two_runs
    roll_back_run(bucket, "r1")
    assert published(bucket) == NOTHING


class Fault(Exception):
    """Injected by a test."""


@pytest.mark.parametrize("failing", [0, 1, 2, "pointer"])
def test_a_rollback_that_failed_halfway_is_completed(
    bucket: Bucket, two_runs: Any, failing: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, calls = run_rollback._restore, []

    def fail(*arguments: Any, **_: Any) -> Any:
        calls.append(arguments)
        if failing == "pointer" or len(calls) > int(failing):
            raise Fault
        return really(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Fault):
        patch.setattr(run_rollback, "make_current" if failing == "pointer" else "_restore", fail)
        roll_back_run(bucket, "r2")
    roll_back_run(bucket, "r2")
    assert state(bucket) == two_runs


@pytest.mark.parametrize("is_completed", [False, True])
def test_a_publication_that_failed_halfway_is_taken_back(
    bucket: Bucket, deployment: Settings, s3: S3Client, is_completed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    before = state(bucket)
    add_photos(s3, bucket, "second", ["Apple/0.jpg"])
    params = plan(bucket, deployment, "r2", "second", mode="fit")
    run_stages(bucket, params)
    really_publish = PublishedTable.publish

    def publish(self: PublishedTable, *arguments: Any, **how: Any) -> bool:
        if self.key == layout.FEATURES_TABLE:
            raise Fault
        return really_publish(self, *arguments, **how)

    with monkeypatch.context() as patch, pytest.raises(Fault):
        patch.setattr(PublishedTable, "publish", publish)
        publish_run(bucket, params)
    assert read_current(bucket).pca_of(EXTRACTOR) == "r2"
    if is_completed:
        publish_run(bucket, params)
    roll_back_run(bucket, "r2")
    assert state(bucket) == before


def test_a_run_that_was_planned_on_the_one_taken_back_is_refused(
    bucket: Bucket, two_runs: Any, deployment: Settings, s3: S3Client
) -> None:
    add_photos(s3, bucket, "second", ["Apple/0.jpg"])
    planned = [plan(bucket, deployment, run, "second", mode=mode) for run, mode in (("r3", "auto"), ("r4", "fit"))]
    for params in planned:
        run_stages(bucket, params)
    roll_back_run(bucket, "r2")
    for params in planned:
        with pytest.raises(AirflowFailException, match=r"since this (run|fit) was planned; run the drop again"):
            publish_run(bucket, params)
    assert state(bucket) == two_runs


def test_a_rollback_waits_for_a_publication(bucket: Bucket, two_runs: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        with lease_tables(bucket, holder="a publication"):
            waiting = pool.submit(roll_back_run, bucket, "r2")
            assert not wait([waiting], timeout=3).done
            assert state(bucket) != two_runs
        waiting.result(timeout=60)
    assert state(bucket) == two_runs


# ---- refusals that change nothing


def refused(bucket: Bucket, run: str, match: str) -> None:
    before = state(bucket)
    with pytest.raises(CannotRollBackRun, match=match):
        roll_back_run(bucket, run)
    assert state(bucket) == before


def test_a_run_that_was_never_published(bucket: Bucket, two_runs: Any) -> None:
    refused(bucket, "r9", "run r9 is in none of the tables; newest runs: r2$")


def test_a_run_of_an_earlier_release(bucket: Bucket, two_runs: Any, s3: S3Client) -> None:
    s3.delete_object(Bucket=bucket.name, Key=layout.replaced_pca("r2"))
    refused(bucket, "r2", "published by an earlier release, which did not record the PCA that it replaced")


def test_rows_that_were_deleted_by_hand_do_not_come_back(bucket: Bucket, two_runs: Any) -> None:
    table = PublishedTable(bucket, layout.FEATURES_TABLE).open()
    assert table is not None
    table.delete("path LIKE '%0.jpg'")
    refused(bucket, "r2", r"tables/features was changed by others since r2: DELETE in version 2")


def test_files_that_a_vacuum_has_deleted(bucket: Bucket, two_runs: Any) -> None:
    table = PublishedTable(bucket, layout.FEATURES_TABLE).open()
    assert table is not None
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    refused(bucket, "r2", "a vacuum has deleted 1 files that tables/features had before the run")


# ---- the command


def test_the_command_says_what_it_did(bucket: Bucket, two_runs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--bucket", bucket.name, "--run"]
    assert rollback.main([*arguments, "r2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "tables/features: restored to version 0",
        "models/current.json: PCA r1 is current again, instead of r2",
        "tables/rejects: restored to version 0",
        "tables/projected: restored to version 0",
        "run r2 is rolled back: its photos count as new again; classifiers stay as they are",
    ]
    assert rollback.main([*arguments, "r2"]) == 0
    assert capsys.readouterr().out == "run r2 was rolled back before\n"
    assert rollback.main([*arguments, "r9"]) == 1
    assert "run r9 is in none of the tables" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        rollback.main([*arguments, "r2", "--to", "c1"])
    assert ended.value.code == 2
