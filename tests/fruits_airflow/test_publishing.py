"""A run is published completely and once, also after a failure halfway."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from mypy_boto3_s3 import S3Client

from fruits_airflow import publishing
from fruits_airflow.bucket import Bucket
from fruits_airflow.current import read_current
from fruits_airflow.lease import Lease, LeaseLost
from fruits_airflow.publishing import publish_run
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout
from fruits_contract.manifest import Finding, WrittenFile
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


def versions(bucket: Bucket) -> list[int | None]:
    tables = [PublishedTable(bucket, key).open() for key in columns.TABLES]
    return [table.version() if table else None for table in tables]


def test_a_fit_publishes_its_files_and_makes_its_pca_current(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/broken.jpg"])
    params = plan(bucket, deployment, "r1", "first")
    run_stages(bucket, params, unreadable=["Apple/broken.jpg"])
    assert published(bucket) == NOTHING
    assert publish_run(bucket, params) == {"run": "r1", "drop": "first", "pca": "r1"}
    assert published(bucket) == {
        "projected": ["first/Apple/0.jpg"],
        "rejects": ["first/Apple/broken.jpg"],
        "features": ["first/Apple/0.jpg"],
    }
    assert read_current(bucket).models == {"pca": {"model_id": "r1", "extractor": EXTRACTOR, "run": "r1"}}


def test_a_transform_leaves_the_current_pca_as_it_is(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    for drop in ("first", "second"):
        add_photos(s3, bucket, drop, ["Apple/0.jpg"])
        run_drop(bucket, deployment, f"run-of-{drop}", drop)
    assert read_current(bucket).pca_of(EXTRACTOR) == "run-of-first"
    assert projected_on_current_pca(bucket) == ["first/Apple/0.jpg", "second/Apple/0.jpg"]


def test_a_red_finding_publishes_nothing(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    params = plan(bucket, deployment, "r1", "first")
    findings = (Finding("counts", "red", "one photo is missing"), Finding("drift", "warning", "far from the mean"))
    run_stages(bucket, params, findings=findings)
    with pytest.raises(AirflowFailException, match=r"not published, because validate found:\n  counts: one photo is missing$"):
        publish_run(bucket, params)
    assert published(bucket) == NOTHING
    assert read_current(bucket).models == {}


def test_a_warning_is_published(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    params = plan(bucket, deployment, "r1", "first")
    run_stages(bucket, params, findings=(Finding("drift", "warning", "far from the mean"),))
    publish_run(bucket, params)
    assert published(bucket)["features"] == ["first/Apple/0.jpg"]


def test_publishing_twice_is_publishing_once(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/broken.jpg"])
    params = run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/broken.jpg"])
    before = versions(bucket), published(bucket), read_current(bucket)
    publish_run(bucket, params)
    assert (versions(bucket), published(bucket), read_current(bucket)) == before


# ---- failures halfway


class Fault(Exception):
    """Injected by a test."""


def fail_before(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """Let publishing fail before it commits to the table `failing`, or before it changes the pointer to the current PCA."""
    really_publish = PublishedTable.publish

    def publish(self: PublishedTable, files: Sequence[WrittenFile], **how: Any) -> bool:
        if self.key == failing:
            raise Fault
        return really_publish(self, files, **how)

    def make_current(*_: object, **__: object) -> bool:
        raise Fault

    monkeypatch.setattr(PublishedTable, "publish", publish)
    if failing == layout.CURRENT_MODELS:
        monkeypatch.setattr(publishing, "make_current", make_current)


@pytest.mark.parametrize(
    ("failing", "committed"),
    [
        (layout.PROJECTED_TABLE, []),
        (layout.REJECTS_TABLE, ["projected"]),
        (layout.CURRENT_MODELS, ["projected", "rejects"]),
        (layout.FEATURES_TABLE, ["projected", "rejects"]),
    ],
)
def test_a_publication_that_failed_halfway_is_completed(
    bucket: Bucket, deployment: Settings, s3: S3Client, failing: str, committed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/broken.jpg"])
    params = plan(bucket, deployment, "r1", "first")
    run_stages(bucket, params, unreadable=["Apple/broken.jpg"])
    complete = {"projected": ["first/Apple/0.jpg"], "rejects": ["first/Apple/broken.jpg"], "features": ["first/Apple/0.jpg"]}

    with monkeypatch.context() as patch, pytest.raises(Fault):
        fail_before(patch, failing)
        publish_run(bucket, params)
    assert published(bucket) == {name: paths if name in committed else [] for name, paths in complete.items()}
    assert (read_current(bucket).pca_of(EXTRACTOR) == "r1") == (failing == layout.FEATURES_TABLE)

    publish_run(bucket, params)
    assert published(bucket) == complete
    assert read_current(bucket).pca_of(EXTRACTOR) == "r1"


def test_a_drop_whose_publication_failed_halfway_is_completed_by_the_next_run(
    bucket: Bucket, deployment: Settings, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    with monkeypatch.context() as patch, pytest.raises(Fault):
        fail_before(patch, layout.FEATURES_TABLE)
        run_drop(bucket, deployment, "r1", "first")
    run_drop(bucket, deployment, "r2", "first")
    assert published(bucket)["features"] == ["first/Apple/0.jpg"]
    assert projected_on_current_pca(bucket) == ["first/Apple/0.jpg"]


@pytest.mark.parametrize("mode", ["auto", "fit"])
@pytest.mark.parametrize("is_same_run", [True, False], ids=["cleared", "run-again"])
def test_rows_that_change_tables_in_a_publication_that_failed_halfway_are_completed(
    bucket: Bucket, deployment: Settings, s3: S3Client, mode: str, is_same_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg", "Apple/2.jpg"])
    run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/2.jpg"])
    add_photos(s3, bucket, "first", ["Apple/1.jpg"], content=b"spoilt")
    add_photos(s3, bucket, "first", ["Apple/2.jpg"], content=b"repaired")
    params = plan(bucket, deployment, "r2", "first", mode=mode)
    run_stages(bucket, params, unreadable=["Apple/1.jpg"])
    with monkeypatch.context() as patch, pytest.raises(Fault):
        fail_before(patch, layout.FEATURES_TABLE)
        publish_run(bucket, params)
    if is_same_run:
        publish_run(bucket, params)
    else:
        run_drop(bucket, deployment, "r3", "first", mode=mode, unreadable=["Apple/1.jpg"])
    good = ["first/Apple/0.jpg", "first/Apple/2.jpg"]
    assert published(bucket, drop="first")["features"] == good
    assert published(bucket)["rejects"] == ["first/Apple/1.jpg"]
    assert projected_on_current_pca(bucket) == good


def test_a_fit_without_new_photos_is_published_once(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    params = run_drop(bucket, deployment, "r2", "first", mode="fit")
    run_drop(bucket, deployment, "r3", "first", mode="fit")
    publish_run(bucket, params)
    assert read_current(bucket).pca_of(EXTRACTOR) == "r3"


@pytest.mark.parametrize(
    "folder", [layout.projected_part("r1", "first", "r1"), layout.features_part("first", "r1")], ids=["projected", "features"]
)
def test_a_run_whose_files_a_vacuum_has_deleted_is_not_published_in_part(
    bucket: Bucket, deployment: Settings, s3: S3Client, folder: str
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    params = plan(bucket, deployment, "r1", "first")
    run_stages(bucket, params)
    s3.delete_object(Bucket=bucket.name, Key=f"{folder}part-0.parquet")
    with pytest.raises(AirflowFailException, match="a vacuum has deleted what was not published in time; run the drop again"):
        publish_run(bucket, params)
    assert published(bucket) == NOTHING
    assert read_current(bucket).pca_of(EXTRACTOR) is None


def test_a_publication_that_loses_the_lease_while_it_writes_commits_nothing(
    bucket: Bucket, deployment: Settings, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    params = plan(bucket, deployment, "r1", "first")
    run_stages(bucket, params)

    def lose(lease: Lease) -> None:
        raise LeaseLost("taken over")

    with monkeypatch.context() as patch, pytest.raises(LeaseLost):
        patch.setattr(Lease, "check", lose)
        publish_run(bucket, params)
    assert published(bucket) == NOTHING


def test_a_fit_that_failed_halfway_does_not_take_over_from_a_later_one_without_new_photos(
    bucket: Bucket, deployment: Settings, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    params = plan(bucket, deployment, "r2", "first", mode="fit")
    run_stages(bucket, params)
    with monkeypatch.context() as patch, pytest.raises(Fault):
        fail_before(patch, layout.CURRENT_MODELS)
        publish_run(bucket, params)
    run_drop(bucket, deployment, "r3", "first", mode="fit")
    with pytest.raises(AirflowFailException, match="run r3 was published since this fit was planned"):
        publish_run(bucket, params)
    assert read_current(bucket).pca_of(EXTRACTOR) == "r3"


def test_a_table_restored_by_hand_to_a_date_does_not_stop_planning(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    for drop in ("first", "second", "third"):
        add_photos(s3, bucket, drop, ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    before = datetime.now(UTC)
    time.sleep(1.1)  # the date of a version is its object's, in seconds
    run_drop(bucket, deployment, "r2", "second")
    table = PublishedTable(bucket, layout.PROJECTED_TABLE).open()
    assert table is not None
    table.restore(before)
    run_drop(bucket, deployment, "r3", "third")
    assert PublishedTable(bucket, layout.PROJECTED_TABLE).newest_run() == "r3"


def test_a_fit_that_failed_halfway_does_not_take_over_from_a_later_one(
    bucket: Bucket, deployment: Settings, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for drop in ("first", "second"):
        add_photos(s3, bucket, drop, ["Apple/0.jpg"])
    params = plan(bucket, deployment, "r1", "first")
    run_stages(bucket, params)
    with monkeypatch.context() as patch, pytest.raises(Fault):
        fail_before(patch, layout.CURRENT_MODELS)
        publish_run(bucket, params)
    run_drop(bucket, deployment, "r2", "second", mode="fit")
    with pytest.raises(AirflowFailException, match="the published features have changed since this fit was planned"):
        publish_run(bucket, params)

    run_drop(bucket, deployment, "r3", "first")
    assert read_current(bucket).pca_of(EXTRACTOR) == "r2"
    assert projected_on_current_pca(bucket) == ["first/Apple/0.jpg", "second/Apple/0.jpg"]


# ---- photos that change


def test_a_repaired_photo_moves_from_the_rejects_to_the_features(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg", "Apple/2.jpg"])
    run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/1.jpg", "Apple/2.jpg"])
    add_photos(s3, bucket, "first", ["Apple/1.jpg"], content=b"repaired")
    run_drop(bucket, deployment, "r2", "first")
    good = ["first/Apple/0.jpg", "first/Apple/1.jpg"]
    assert published(bucket) == {"projected": good, "rejects": ["first/Apple/2.jpg"], "features": good}


def test_a_spoilt_photo_moves_from_the_features_to_the_rejects(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    add_photos(s3, bucket, "first", ["Apple/1.jpg"], content=b"spoilt")
    run_drop(bucket, deployment, "r2", "first", unreadable=["Apple/1.jpg"])
    good = ["first/Apple/0.jpg"]
    assert published(bucket) == {"projected": good, "rejects": ["first/Apple/1.jpg"], "features": good}
