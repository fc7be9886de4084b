"""A planned batch has the contributors of contributed photos, and no photo that nobody agrees to."""

import logging
import traceback
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.contributions import ACCEPTED, WAITING
from tests.fixtures.contributed import CONTRIBUTOR, add_accepted, contribute, id_of, record_of
from tests.fixtures.published_run import add_photos, plan, read_rows

pytestmark = pytest.mark.slow


def contributors(bucket: Bucket, run: str) -> dict[str, str]:
    return {row["path"]: row["contributor"] for row in read_rows(bucket, layout.batch(run))}


def test_the_contributor_is_that_of_the_record(
    bucket: Bucket, deployment: Settings, s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    add_photos(s3, bucket, "first", ["Apple 21/0.jpg", "Apple 21/contributed-x.jpg"])
    accepted = add_accepted(bucket, "first", "Apple 21")
    with caplog.at_level(logging.INFO):
        plan(bucket, deployment, "r1", "first")
    assert contributors(bucket, "r1") == {
        "raw/first/Apple 21/0.jpg": "",
        "raw/first/Apple 21/contributed-x.jpg": "",
        accepted: CONTRIBUTOR,
    }
    assert CONTRIBUTOR not in caplog.text and accepted not in caplog.text and id_of(1) not in caplog.text


@pytest.mark.parametrize(
    "record",
    [
        None,
        {"state": WAITING, "label": "Apple 21", "drop": "first"},
        {"state": ACCEPTED, "label": "Cherry 3", "drop": "first"},
        {"state": ACCEPTED, "label": "Apple 21", "drop": "second"},
    ],
)
def test_a_photo_without_a_record_that_accepts_it_here_is_left_out(
    bucket: Bucket, deployment: Settings, s3: S3Client, record: dict[str, Any] | None, caplog: pytest.LogCaptureFixture
) -> None:
    add_photos(s3, bucket, "first", ["Apple 21/0.jpg"])
    add_accepted(bucket, "first", "Apple 21")
    if record is None:
        bucket.erase(layout.contribution_record(id_of(1)))
    else:
        bucket.write(layout.contribution_record(id_of(1)), record_of(id_of(1), **record).to_json())
    with caplog.at_level(logging.INFO):
        plan(bucket, deployment, "r1", "first")
    assert list(contributors(bucket, "r1")) == ["raw/first/Apple 21/0.jpg"]
    assert "1 contributed photos are left out" in caplog.text
    assert id_of(1) not in caplog.text


def test_an_error_of_s3_does_not_name_the_photo(bucket: Bucket, deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    contribution = contribute(bucket)
    add_accepted(bucket, "first", "Apple 21")

    def refused(key: str) -> tuple[bytes, str]:
        raise PermissionError(f"no access to {key}")

    monkeypatch.setattr(bucket, "read_with_etag", refused)
    with pytest.raises(OSError, match="could not be read: PermissionError") as caught:
        plan(bucket, deployment, "r1", "first")
    assert contribution not in "".join(traceback.format_exception(caught.value))
