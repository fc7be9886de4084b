"""A daily drop that has contributed photos only is completed in the last hour that its run waits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.contributed_drop import complete_contributed_drops
from fruits_airflow.settings import Settings
from fruits_contract import layout
from tests.fixtures.contributed import add_accepted
from tests.fixtures.published_run import add_photos

pytestmark = pytest.mark.slow

DROP = "2026-11-22"
LAST_HOUR = datetime(2026, 11, 22, 8, 0, 5, tzinfo=UTC)  # the run begins at 03:00 and waits for six hours


def is_ready(bucket: Bucket, drop: str = DROP) -> bool:
    return layout.ready(drop) in [item.key for item in bucket.objects(layout.RAW)]


def test_a_drop_of_contributed_photos_is_completed_in_the_last_hour_only(bucket: Bucket, deployment: Settings) -> None:
    add_accepted(bucket, DROP, "Apple 21")
    add_accepted(bucket, "2026-11-23", "Apple 21")
    assert complete_contributed_drops(bucket, deployment, now=LAST_HOUR - timedelta(minutes=1)) == []
    assert complete_contributed_drops(bucket, deployment, now=LAST_HOUR) == [DROP]
    assert is_ready(bucket)
    assert bucket.read(layout.ready(DROP)) == b""
    assert complete_contributed_drops(bucket, deployment, now=LAST_HOUR) == []


def test_the_last_hour_follows_the_setting(bucket: Bucket, deployment: Settings) -> None:
    add_accepted(bucket, DROP, "Apple 21")
    waits_longer = replace(deployment, wait_for_drop_s=30 * 3600)
    assert complete_contributed_drops(bucket, waits_longer, now=LAST_HOUR) == []
    assert complete_contributed_drops(bucket, waits_longer, now=LAST_HOUR + timedelta(hours=24)) == [DROP]


@pytest.mark.parametrize("other", ["Apple 21/0.jpg", "_READY"])
def test_a_drop_that_somebody_uploads_is_left_alone(bucket: Bucket, deployment: Settings, s3: S3Client, other: str) -> None:
    add_accepted(bucket, DROP, "Apple 21")
    add_photos(s3, bucket, DROP, [other])
    assert complete_contributed_drops(bucket, deployment, now=LAST_HOUR) == []


def test_a_drop_with_an_odd_name_stops_no_other(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_accepted(bucket, DROP, "Apple 21")
    add_photos(s3, bucket, f"{DROP}\n", ["Apple 21/0.jpg"])
    assert complete_contributed_drops(bucket, deployment, now=LAST_HOUR) == [DROP]


def test_a_drop_without_photos_or_of_another_name_is_left_alone(bucket: Bucket, deployment: Settings) -> None:
    add_accepted(bucket, "first", "Apple 21")
    assert complete_contributed_drops(bucket, deployment, now=LAST_HOUR) == []


def test_a_drop_whose_run_has_given_up_is_completed_with_a_warning(
    bucket: Bucket, deployment: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    add_accepted(bucket, DROP, "Apple 21")
    assert complete_contributed_drops(bucket, deployment, now=LAST_HOUR + timedelta(hours=2)) == [DROP]
    assert f"trigger fruits_features with drop={DROP}" in caplog.text
