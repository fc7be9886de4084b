"""An erasure that is killed, or meets what it cannot read, loses no request and leaves nothing of the photo."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.certificate import read_certificate
from fruits_airflow.erasure.erase import WAIT_LIMIT, NotErased, Outcome, erase_contributions
from fruits_airflow.erasure.requests import write_request
from fruits_airflow.erasure.run_outputs import outputs_with_names
from fruits_airflow.erasure.subjects import find_subjects
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.contributions import ErasureRequest
from tests.fixtures.contributed_drop import ANNA, Contributed, Photo, erase, needles, places_of

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """Raised by a test in place of a call."""


def kill_after(patch: pytest.MonkeyPatch, survived: int) -> None:
    """Let so many calls that change the bucket pass, and raise at the next one."""
    calls = iter(range(survived))

    def killing(really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **how: Any) -> Any:
            if next(calls, None) is None:
                raise Killed
            return really(*arguments, **how)

        return call

    for name in ("write", "upload", "delete_versions"):
        patch.setattr(Bucket, name, killing(getattr(Bucket, name)))


def test_a_call_that_was_killed_anywhere_is_completed_by_the_next(
    bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = write_request(bucket, contributor=ANNA, now=now).request
    for survived in range(200):
        try:
            with monkeypatch.context() as patch:
                kill_after(patch, survived)
                outcome = erase_contributions(bucket, is_run_under_way=lambda: False)
            break
        except Killed:
            continue
    assert survived > 10
    assert outcome.done == 1
    assert outcome.needs_training, "counts of earlier tries are kept"
    assert places_of(bucket, s3, [ANNA, *needles(*contributed.annas)]) == []
    (erasure,) = read_certificate(bucket, request)["erasures"]
    removed = erasure["removed"]
    assert (erasure["contributions"], removed["photos in drops"], removed["photos waiting for review"]) == (3, 2, 1)
    assert (removed["rows of tables/features"], removed["rows of tables/projected"]) == (1, 2)
    assert erase_contributions(bucket, is_run_under_way=lambda: False) == Outcome()


def test_what_is_left_keeps_the_request(bucket: Bucket, deployment: Settings, s3: S3Client, now: Any) -> None:
    photo = Photo.of(ANNA)
    bucket.write(f"elsewhere/{photo.contribution}.txt", b"")
    with pytest.raises(NotErased, match="still 1 objects") as failure:
        erase(bucket, now, contribution=photo.contribution)
    assert photo.contribution not in str(failure.value)
    assert len(list(bucket.objects(layout.ERASURE_REQUESTS))) == 1


def test_a_request_that_cannot_be_understood_stops_no_other(
    bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any
) -> None:
    bucket.write(f"{layout.ERASURE_REQUESTS}x.json", b"{")
    bucket.write(f"{layout.ERASURE_REQUESTS}y.json", json.dumps({"request": "y", "requested_at": ""}).encode())
    assert erase(bucket, now, contributor=ANNA).done == 1


@pytest.mark.parametrize("key", ["logs/j-1/broken.gz", "runs/r9/broken.parquet", "tables/features/drop=x/run=y/broken.parquet"])
def test_a_damaged_object_stops_no_erasure(bucket: Bucket, contributed: Contributed, s3: S3Client, now: Any, key: str) -> None:
    bucket.write(key, b"\x1f\x8b damaged")
    assert erase(bucket, now, contributor=ANNA).done == 1


def test_what_is_no_request_and_what_waits_for_days_is_counted(bucket: Bucket, contributed: Contributed, now: Any) -> None:
    bucket.write(f"{layout.ERASURE_REQUESTS}broken.json", b"{")
    write_request(bucket, contributor=ANNA, now=now - WAIT_LIMIT - timedelta(hours=1))
    outcome = erase_contributions(bucket, is_run_under_way=lambda: True)
    assert (outcome.waiting, outcome.late, outcome.invalid) == (1, 1, 1)


def test_what_waits_for_days_is_in_the_log_also_where_the_task_is_killed(
    bucket: Bucket, contributed: Contributed, now: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_request(bucket, contributor=ANNA, now=now - WAIT_LIMIT - timedelta(hours=1))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 0)
        erase_contributions(bucket, is_run_under_way=lambda: False)
    assert "Requests that have waited for more than 4 days: 1" in caplog.text
    assert erase_contributions(bucket, is_run_under_way=lambda: False) == Outcome(done=1, needs_training=True)


def test_outputs_are_read_side_by_side(bucket: Bucket, now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Photo.of(ANNA)
    for run in ("r1", "r2"):
        bucket.write(layout.report_page(run), photo.contribution.encode())
    both = threading.Barrier(2, timeout=30)  # is broken where one is read after the other
    download = Bucket.download

    def download_together(bucket: Bucket, *arguments: Any) -> None:
        both.wait()
        download(bucket, *arguments)

    monkeypatch.setattr(Bucket, "download", download_together)
    request = ErasureRequest(photo.contribution, now.isoformat(), contribution=photo.contribution)
    subjects = find_subjects(bucket, [request], now=now)
    assert [found for _, found in outputs_with_names(bucket, subjects)] == [{photo.contribution}] * 2


def test_a_contributor_without_photos_gets_no_claim_of_checks(bucket: Bucket, contributed: Contributed, now: Any) -> None:
    request = write_request(bucket, contributor="e" * 64, now=now)
    assert erase_contributions(bucket, is_run_under_way=lambda: False).done == 1
    (erasure,) = read_certificate(bucket, request.request)["erasures"]
    assert (erasure["contributions"], erasure["removed"], erasure["checked"]) == (0, {}, [])
