"""What was kept for too long is found, deleted in all versions and reported; what is younger stays."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from mypy_boto3_s3 import S3Client

from fruits_airflow import retention
from fruits_airflow.bucket import Bucket
from fruits_airflow.retention import (
    CHECK_EVERY,
    KEPT,
    LIMIT,
    UPLOADS_KEPT,
    Holding,
    RetentionCheck,
    enforce_retention,
    read_last_check,
)
from fruits_contract import contributions, layout
from fruits_contract.contributions import ACCEPTED, WAITING, Consent, Contribution, Guess
from release import contents

pytestmark = pytest.mark.slow

SECOND = timedelta(seconds=1)


def received(days: float) -> str:
    """Return the id of a contribution of some days ago."""
    return contributions.new_id(datetime.now(UTC) - timedelta(days=days))


def record(bucket: Bucket, contribution: str, *, state: str = WAITING) -> None:
    consent, guess = Consent("1", "en", "2026-11-01T00:00:00+00:00"), Guess("c1", "unknown")
    content = Contribution(contribution, "a" * 64, consent, guess, state=state).to_json()
    bucket.write(layout.contribution_record(contribution), content)


def keys(bucket: Bucket) -> set[str]:
    return {version.key for version in bucket.versions("") if version.key != layout.RETENTION}


def holding(check: RetentionCheck, prefix: str) -> Holding:
    return next(each for each in check.holdings if each.prefix == prefix)


def test_a_contributed_photo_of_16_days_is_found_reported_and_removed(versioned_bucket: Bucket, now: datetime) -> None:
    bucket = versioned_bucket
    old, young = received(16), received(2)
    for contribution in (old, young):
        bucket.write(layout.contribution_photo(contribution), b"photo")
        bucket.write(layout.contribution_claim(contribution), b"{}")
        # Accepted yesterday: by its object alone, it would be one day old.
        bucket.write(layout.contributed_image("20261101", "Apple Golden", contribution), b"photo")
    with pytest.raises(AirflowFailException, match=r"1 of raw/, 1 of contributions/photos/, 1 of contributions/claims/"):
        enforce_retention(bucket, now=now)
    assert len(keys(bucket)) == 3
    assert all(young in key for key in keys(bucket))

    check = enforce_retention(bucket, now=now + SECOND)  # at once, because the last check was red
    assert check.overdue == []
    assert check.checked_at == (now + SECOND).isoformat(timespec="seconds")
    assert holding(check, layout.RAW) == Holding(
        prefix=layout.RAW, objects=1, oldest_at=contributions.received_on(young).isoformat(timespec="seconds")
    )


def test_a_name_of_a_contributor_is_in_no_report(bucket: Bucket, now: datetime) -> None:
    contribution = received(16)
    bucket.write(layout.contribution_photo(contribution), b"photo")
    record(bucket, contribution)
    with pytest.raises(AirflowFailException) as red:
        enforce_retention(bucket, now=now)
    for text in (str(red.value), bucket.read(layout.RETENTION).decode()):
        assert contribution not in text
        assert "a" * 64 not in text


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (KEPT - SECOND, "kept"),
        (KEPT, "deleted"),
        (LIMIT - SECOND, "deleted"),
        (LIMIT, "overdue"),
        (LIMIT + timedelta(days=30), "overdue"),
    ],
)
def test_the_limits_are_exact(versioned_bucket: Bucket, age: timedelta, expected: str) -> None:
    versioned_bucket.write("raw/first/Apple/0.jpg", b"photo")
    (version,) = versioned_bucket.versions("raw/")
    if expected == "overdue":
        with pytest.raises(AirflowFailException, match="1 of raw/"):
            enforce_retention(versioned_bucket, now=version.modified + age)
    else:
        enforce_retention(versioned_bucket, now=version.modified + age)
    check = read_last_check(versioned_bucket)
    assert check
    found = holding(check, layout.RAW)
    assert (found.objects, found.deleted, found.overdue) == {"kept": (1, 0, 0), "deleted": (0, 1, 0), "overdue": (0, 1, 1)}[
        expected
    ]
    assert list(keys(versioned_bucket)) == (["raw/first/Apple/0.jpg"] if expected == "kept" else [])


def test_hidden_versions_and_markers_are_old_too(bucket: Bucket, s3: S3Client, now: datetime) -> None:
    s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"one", b"two"):
        bucket.write("raw/first/Apple/0.jpg", content)
    s3.delete_object(Bucket=bucket.name, Key="raw/first/Apple/0.jpg")
    assert len(list(bucket.versions("raw/"))) == 3
    with pytest.raises(AirflowFailException, match="longer, and deleted now: 2 of raw/"):
        enforce_retention(bucket, now=now + LIMIT + SECOND)
    assert list(bucket.versions("raw/")) == []


def test_what_is_no_photo_is_left_alone(bucket: Bucket, now: datetime) -> None:
    for key in ("tables/features/a.parquet", "runs/r1/params.json", layout.erasure_request(received(30))):
        bucket.write(key, b"x")
    before = keys(bucket)
    enforce_retention(bucket, now=now + LIMIT + SECOND)
    assert keys(bucket) == before


def test_a_record_without_review_goes_with_its_photo(bucket: Bucket, now: datetime) -> None:
    waiting, young = received(12), received(2)
    record(bucket, waiting)
    record(bucket, young)
    check = enforce_retention(bucket, now=now)
    assert holding(check, layout.CONTRIBUTION_RECORDS).deleted == 1
    assert keys(bucket) == {layout.contribution_record(young)}


def test_an_incomplete_upload_is_deleted_after_a_day(bucket: Bucket, s3: S3Client, now: datetime) -> None:
    s3.create_multipart_upload(Bucket=bucket.name, Key="tables/features/a.parquet")
    (upload,) = bucket.incomplete_uploads()
    check = enforce_retention(bucket, now=upload.initiated + UPLOADS_KEPT - SECOND)
    assert holding(check, "incomplete uploads").objects == 1
    check = enforce_retention(bucket, now=now + CHECK_EVERY + UPLOADS_KEPT)
    assert holding(check, "incomplete uploads").deleted == 1
    assert list(bucket.incomplete_uploads()) == []

    s3.create_multipart_upload(Bucket=bucket.name, Key="tables/features/a.parquet")
    with pytest.raises(AirflowFailException, match="1 of incomplete uploads"):
        enforce_retention(bucket, now=now + LIMIT + CHECK_EVERY)
    assert list(bucket.incomplete_uploads()) == []


def test_the_bucket_is_listed_once_a_day(bucket: Bucket, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    first = enforce_retention(bucket, now=now)
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "versions", lambda *_: pytest.fail("listed"))
        assert enforce_retention(bucket, now=now + CHECK_EVERY - SECOND) == first
    assert enforce_retention(bucket, now=now + CHECK_EVERY) != first


def test_a_check_every_day_keeps_the_promise() -> None:
    # Between two checks an object grows older by CHECK_EVERY and the hour until the next run of the task.
    assert KEPT + CHECK_EVERY + timedelta(hours=1) < LIMIT
    template = (contents.ROOT / "infra" / "storage.yaml").read_text()
    assert f"Default: {KEPT.days}\n" in template
    for prefix in (layout.RAW, layout.CONTRIBUTED_PHOTOS, layout.CONTRIBUTION_CLAIMS):
        assert f"Prefix: {prefix}\n" in template


def test_the_check_is_plain_json(bucket: Bucket, now: datetime) -> None:
    enforce_retention(bucket, now=now)
    assert set(json.loads(bucket.read(layout.RETENTION))) == {"checked_at", "holdings"}


@pytest.mark.parametrize("name", ["20200101-" + "a" * 32, "20991231-" + "a" * 32])
def test_the_name_of_another_photo_says_nothing_about_its_age(bucket: Bucket, now: datetime, name: str) -> None:
    bucket.write(f"raw/first/Apple/{name}.jpg", b"photo")
    assert holding(enforce_retention(bucket, now=now), layout.RAW).objects == 1
    check = enforce_retention(bucket, now=now + KEPT + timedelta(hours=1))
    assert holding(check, layout.RAW).deleted == 1


def test_no_name_makes_a_photo_younger_than_its_object(bucket: Bucket, now: datetime) -> None:
    bucket.write(layout.contributed_image("first", "Apple", "20991231-" + "a" * 32), b"photo")
    assert holding(enforce_retention(bucket, now=now + KEPT + timedelta(hours=1)), layout.RAW).deleted == 1


def test_a_record_stays_as_long_as_its_photo_has_a_row(bucket: Bucket, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    with_row, without = received(20), received(20)
    for contribution in (with_row, without):
        record(bucket, contribution, state=ACCEPTED)
    monkeypatch.setattr(retention, "_contributions_with_rows", lambda bucket: {with_row})
    with pytest.raises(AirflowFailException, match="1 of contributions/records/"):
        enforce_retention(bucket, now=now)
    assert keys(bucket) == {layout.contribution_record(with_row)}
    check = enforce_retention(bucket, now=now + SECOND)
    assert holding(check, layout.CONTRIBUTION_RECORDS).objects == 1
