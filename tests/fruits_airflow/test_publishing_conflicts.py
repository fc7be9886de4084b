"""Runs that were published while another one was under way: no photo is left without a projection on the current PCA."""

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.current import read_current
from fruits_airflow.publishing import publish_run
from fruits_airflow.settings import Settings
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

FEATURES_CHANGED = "the published features have changed since this fit was planned; run the drop again"


def test_a_transform_is_refused_when_another_pca_has_become_current(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    for drop in ("first", "second", "third"):
        add_photos(s3, bucket, drop, ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    params = plan(bucket, deployment, "r2", "second")
    run_stages(bucket, params)
    run_drop(bucket, deployment, "r3", "third", mode="fit")
    before = published(bucket)
    with pytest.raises(AirflowFailException, match="PCA r3 has become current since this run was planned; run the drop again"):
        publish_run(bucket, params)
    assert published(bucket) == before

    run_drop(bucket, deployment, "r4", "second")
    assert projected_on_current_pca(bucket) == [f"{drop}/Apple/0.jpg" for drop in ("first", "second", "third")]


def test_a_fit_is_refused_when_photos_were_published_that_it_lacks(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    for drop in ("first", "second", "third"):
        add_photos(s3, bucket, drop, ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    params = plan(bucket, deployment, "r2", "second", mode="fit")
    run_stages(bucket, params)
    run_drop(bucket, deployment, "r3", "third")
    before = published(bucket)
    with pytest.raises(AirflowFailException, match=FEATURES_CHANGED):
        publish_run(bucket, params)
    assert published(bucket) == before
    assert read_current(bucket).pca_of(EXTRACTOR) == "r1"

    run_drop(bucket, deployment, "r4", "second", mode="fit")
    assert read_current(bucket).pca_of(EXTRACTOR) == "r4"
    assert projected_on_current_pca(bucket) == [f"{drop}/Apple/0.jpg" for drop in ("first", "second", "third")]


def test_a_fit_is_refused_when_photos_it_projected_have_become_unreadable(
    bucket: Bucket, deployment: Settings, s3: S3Client
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg"])
    add_photos(s3, bucket, "second", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    params = plan(bucket, deployment, "r2", "second", mode="fit")
    run_stages(bucket, params)
    add_photos(s3, bucket, "first", ["Apple/1.jpg"], content=b"spoilt")
    run_drop(bucket, deployment, "r3", "first", unreadable=["Apple/1.jpg"])
    with pytest.raises(AirflowFailException, match=FEATURES_CHANGED):
        publish_run(bucket, params)

    run_drop(bucket, deployment, "r4", "second", mode="fit")
    assert projected_on_current_pca(bucket) == ["first/Apple/0.jpg", "second/Apple/0.jpg"]


@pytest.mark.parametrize("mode", ["auto", "fit"])
def test_of_two_drops_fitted_at_once_the_second_is_refused_and_completed_by_a_rerun(
    bucket: Bucket, deployment: Settings, s3: S3Client, mode: str
) -> None:
    planned = {}
    for drop in ("first", "second"):
        add_photos(s3, bucket, drop, ["Apple/0.jpg", "Apple/1.jpg"])
        planned[drop] = plan(bucket, deployment, f"run-of-{drop}", drop, mode=mode)
    for params in planned.values():
        assert params.mode == "fit"
        run_stages(bucket, params)
    publish_run(bucket, planned["first"])
    with pytest.raises(AirflowFailException, match=FEATURES_CHANGED):
        publish_run(bucket, planned["second"])
    assert read_current(bucket).pca_of(EXTRACTOR) == "run-of-first"
    assert published(bucket, drop="second") == NOTHING

    run_drop(bucket, deployment, "again", "second", mode=mode)
    everything = [f"{drop}/Apple/{number}.jpg" for drop in ("first", "second") for number in (0, 1)]
    assert published(bucket)["features"] == everything
    assert projected_on_current_pca(bucket) == everything


def test_the_same_drop_planned_twice_at_once_leaves_one_row_per_photo(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    add_photos(s3, bucket, "second", ["Apple/0.jpg"])
    planned = [plan(bucket, deployment, run, "second") for run in ("r2", "r3")]
    for params in planned:
        run_stages(bucket, params)
        publish_run(bucket, params)
    paths = ["second/Apple/0.jpg"]
    assert published(bucket, drop="second") == {"projected": paths, "rejects": [], "features": paths}


def test_publishing_an_old_fit_again_does_not_make_its_pca_current_again(
    bucket: Bucket, deployment: Settings, s3: S3Client
) -> None:
    for drop in ("first", "second"):
        add_photos(s3, bucket, drop, ["Apple/0.jpg"])
    old = run_drop(bucket, deployment, "r1", "first")
    run_drop(bucket, deployment, "r2", "second", mode="fit")
    publish_run(bucket, old)
    assert read_current(bucket).pca_of(EXTRACTOR) == "r2"
    assert projected_on_current_pca(bucket) == ["first/Apple/0.jpg", "second/Apple/0.jpg"]
