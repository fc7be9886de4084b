"""A plan holds the photos that are not published yet, and a run that cannot succeed ends before it costs anything."""

import json
import logging
from dataclasses import asdict, replace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from mypy_boto3_s3 import S3Client

from fruits_airflow import drops
from fruits_airflow.bucket import Bucket, ObjectInfo
from fruits_airflow.emr import cost
from fruits_airflow.planning import plan_run, stage_limit_s
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURES_PIPELINE, FeaturesRunParams
from fruits_contract.plan_summary import PlanSummary
from tests.fixtures.published_run import EXTRACTOR, add_photos, add_release, plan, read_rows, run_drop

pytestmark = pytest.mark.slow


def batch_names(bucket: Bucket, run: str, drop: str = "first") -> list[str]:
    return [row["path"].removeprefix(layout.raw_prefix(drop)) for row in read_rows(bucket, layout.batch(run))]


def retained(bucket: Bucket, run: str) -> list[str]:
    return list(json.loads(bucket.read(layout.retained(run))))


def test_the_first_drop_is_planned_and_fits_a_pca(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["_READY", "Apple Red 1/", "Apple Red 1/0.jpg", "Cherry/0.jpg", "loose.jpg"])
    planned = plan_run(bucket, deployment, dag_run_id="r1", drop="first", requested={"variance": 0.9})
    assert planned.pipeline is FEATURES_PIPELINE
    assert len(batch_names(bucket, "r1")) == 3
    assert planned.region == deployment.region
    assert planned.job_flow["Name"] == "fruits r1"
    assert planned.params == FeaturesRunParams(
        bucket=bucket.name, run="r1", drop="first", release="v1", extractor=EXTRACTOR, pca="r1", mode="fit", variance=0.9
    )
    etag = s3.head_object(Bucket=bucket.name, Key="raw/first/loose.jpg")["ETag"].strip('"')
    same = {"etag": etag, "size_bytes": len(b"photo"), "contributor": "", "shard": "", "shard_etag": "", "offset": 0}
    assert read_rows(bucket, layout.batch("r1")) == [
        {"path": "raw/first/Apple Red 1/0.jpg", "label": "Apple Red 1", **same},
        {"path": "raw/first/Cherry/0.jpg", "label": "Cherry", **same},
        {"path": "raw/first/loose.jpg", "label": "", **same},
    ]
    assert retained(bucket, "r1") == []


def test_the_run_folder_names_its_dag_run(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    params = plan(bucket, deployment, "manual__2026-11-22T11:00:00+00:00", "first")
    assert params.run == layout.run_name("manual__2026-11-22T11:00:00+00:00")
    written = json.loads(bucket.read(layout.run_params(params.run)))
    assert written == {"dag_id": "fruits_features", "dag_run_id": "manual__2026-11-22T11:00:00+00:00", **asdict(params)}


def test_the_next_drop_is_transformed_with_the_current_pca(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    add_photos(s3, bucket, "second", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    params = plan(bucket, deployment, "r2", "second", components=7)
    assert (params.mode, params.pca, params.components) == ("transform", "r1", 7)
    assert batch_names(bucket, "r2", "second") == ["Apple/0.jpg"]


def test_known_photos_and_known_rejects_are_left_out(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg", "Apple/broken.jpg"])
    run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/broken.jpg"])
    add_photos(s3, bucket, "first", ["Apple/2.jpg"])
    plan(bucket, deployment, "r2", "first")
    assert batch_names(bucket, "r2") == ["Apple/2.jpg"]


def test_a_photo_with_other_content_is_new(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg", "Apple/broken.jpg"])
    run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/broken.jpg"])
    add_photos(s3, bucket, "first", ["Apple/1.jpg", "Apple/broken.jpg"], content=b"another photo")
    plan(bucket, deployment, "r2", "first")
    assert batch_names(bucket, "r2") == ["Apple/1.jpg", "Apple/broken.jpg"]


def test_for_another_extractor_every_photo_is_new_and_a_pca_is_fitted(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/broken.jpg"])
    run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/broken.jpg"])
    add_release(bucket, "v2", extractor="f" * 64)
    params = plan(bucket, deployment, "r2", "first", release="v2")
    assert (params.release, params.extractor, params.mode, params.pca) == ("v2", "f" * 64, "fit", "r2")
    assert batch_names(bucket, "r2") == ["Apple/0.jpg", "Apple/broken.jpg"]


@pytest.mark.parametrize("mode", ["auto", "transform"])
def test_nothing_new_skips_the_run_and_writes_nothing(bucket: Bucket, deployment: Settings, s3: S3Client, mode: str) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    with pytest.raises(AirflowSkipException, match="nothing new in drop first"):
        plan(bucket, deployment, "r2", "first", mode=mode)
    assert not list(bucket.objects(layout.run_prefix("r2")))


def test_an_empty_drop_with_nothing_retained_is_skipped_in_a_fit_too(bucket: Bucket, deployment: Settings) -> None:
    with pytest.raises(AirflowSkipException, match="nothing new in drop first"):
        plan(bucket, deployment, "r1", "first", mode="fit")


def test_a_fit_without_new_photos_is_planned_on_the_retained_ones(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    params = plan(bucket, deployment, "r2", "first", mode="fit")
    assert (params.mode, params.pca) == ("fit", "r2")
    assert batch_names(bucket, "r2") == []
    assert retained(bucket, "r2") == PublishedTable(bucket, layout.FEATURES_TABLE).files() != []


def test_transform_without_a_current_pca_is_refused(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    with pytest.raises(AirflowFailException, match="there is no current PCA for this extractor; use mode=auto or mode=fit"):
        plan(bucket, deployment, "r1", "first", mode="transform")
    assert not list(bucket.objects(layout.run_prefix("r1")))


def test_transform_with_a_pca_of_another_extractor_is_refused(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    add_release(bucket, "v2", extractor="f" * 64)
    with pytest.raises(AirflowFailException, match="there is no current PCA for this extractor"):
        plan(bucket, deployment, "r2", "first", mode="transform", release="v2")


def test_keys_that_obstore_refuses_are_in_the_batch(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    names = ["Apple/control\x01.jpg", "Apple/good.jpg", "Apple/new\nline.jpg", "Apple/tab\t.jpg"]
    add_photos(s3, bucket, "first", names)
    run_drop(bucket, deployment, "r1", "first", unreadable=[name for name in names if name != "Apple/good.jpg"])
    assert batch_names(bucket, "r1") == names
    with pytest.raises(AirflowSkipException, match="nothing new"):
        plan(bucket, deployment, "r2", "first")


def test_of_the_keys_that_end_with_a_slash_only_empty_ones_are_folders() -> None:
    # The embedded S3 server lists a size of 0 for all of them.
    class Listing:
        def objects(self, prefix: str) -> list[ObjectInfo]:
            return [ObjectInfo(f"{prefix}Apple/", "e1", 0), ObjectInfo(f"{prefix}Apple/0.jpg/", "e2", 5)]

    assert drops.photos_of(Listing(), "first")["path"].to_pylist() == ["raw/first/Apple/0.jpg/"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("deadline_s", "warnings"),
    [
        (1, ["The deadline of 0 minutes (deadline_s) cannot be met with 2 core and task nodes (max_core_nodes)"]),
        (7200, []),
    ],
)
def test_a_deadline_that_cannot_be_met_is_a_warning(
    bucket: Bucket, deployment: Settings, s3: S3Client, deadline_s: int, warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    with caplog.at_level(logging.INFO):
        plan(bucket, replace(deployment, deadline_s=deadline_s, max_core_nodes=2), "r1", "first")
    messages = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert messages == warnings


def test_the_report_can_read_what_the_plan_expects(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    for drop in ("first", "second", "third"):
        add_photos(s3, bucket, drop, ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    run_drop(bucket, deployment, "r2", "second")
    plan(bucket, deployment, "r3", "third")
    summaries = [PlanSummary.from_json(bucket.read(layout.plan_summary(run))) for run in ("r1", "r2", "r3")]
    assert [summary.previous_run for summary in summaries] == ["", "r1", "r2"]
    assert 0 < summaries[0].spot_usd == summaries[0].on_demand_usd, "one core node, which is never Spot"
    assert summaries[0].s3_usd > 0 and summaries[0].expected_seconds > 0


def test_the_estimate_of_a_fit_has_the_retained_rows_and_that_of_a_transform_has_not(
    bucket: Bucket, deployment: Settings, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "OTHER_STAGES_VCPU_S_PER_PHOTO", 40.0)  # 7 s or more per row on one node of 4 vCPU
    add_photos(s3, bucket, "first", [f"Apple/{number}.jpg" for number in range(9)])
    add_photos(s3, bucket, "second", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    expected_s = {}
    for mode in ("fit", "transform"):
        plan(bucket, replace(deployment, max_core_nodes=1), mode, "second", mode=mode)
        expected_s[mode] = PlanSummary.from_json(bucket.read(layout.plan_summary(mode))).expected_seconds
    assert expected_s["fit"] - expected_s["transform"] > 9 * 5


def test_a_run_over_its_budget_plans_no_cluster(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    with pytest.raises(AirflowFailException, match=r"its budget is 0\.01 USD; nothing was started"):
        plan(bucket, deployment, "r1", "first", budget_usd=0.01)
    assert not list(bucket.objects(layout.run_prefix("r1")))
    assert plan(bucket, replace(deployment, budget_usd=0.01), "r1", "first", budget_usd=1.0)


def test_the_time_limit_of_a_stage_follows_the_batch(settings: Settings) -> None:
    assert stage_limit_s(settings, expected_s=300) == 1800 + 3000
    assert stage_limit_s(settings, expected_s=100_000) == settings.stage_limit_s, "the settings are the upper bound"
    assert stage_limit_s(replace(settings, stage_limit_s=3), expected_s=300) == 3


def test_tensorflow_is_refused_where_the_release_lacks_it(bucket: Bucket, deployment: Settings) -> None:
    with pytest.raises(AirflowFailException, match=r"release v1 has no TensorFlow .* `make release TENSORFLOW=1`"):
        plan(bucket, deployment, "r1", "first", engine="tensorflow")


def test_a_release_that_does_not_exist_is_named_with_those_that_do(bucket: Bucket, deployment: Settings) -> None:
    with pytest.raises(AirflowFailException, match=r"release 'v9' is not in .*/code/; existing: v1"):
        plan(bucket, deployment, "r1", "first", release="v9")
