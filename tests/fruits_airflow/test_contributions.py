"""What waits for review, and what may not be used any more."""

import logging

import pytest

from fruits_airflow.bucket import Bucket
from fruits_airflow.contributions import ErasureRequests, queued, read_record
from fruits_contract import layout
from fruits_contract.contributions import ErasureRequest
from tests.fixtures.contributed import CONTRIBUTOR, contribute, id_of, record_of

pytestmark = pytest.mark.slow


def test_the_queue_is_in_the_order_of_days(bucket: Bucket) -> None:
    newer = contribute(bucket, 1, day="20261123")
    older = contribute(bucket, 2, day="20261121")
    bucket.write(f"{layout.CONTRIBUTED_PHOTOS}holiday.jpg", b"photo")
    assert queued(bucket) == [older, newer]


@pytest.mark.parametrize(
    "content", [b"no JSON", b"{}", record_of(id_of(2)).to_json(), record_of(id_of(1), contributor="").to_json()]
)
def test_a_photo_without_a_record_of_its_own_is_left_out(
    bucket: Bucket, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_record(bucket, id_of(1)) is None
    bucket.write(layout.contribution_record(id_of(1)), content)
    with caplog.at_level(logging.DEBUG):
        assert read_record(bucket, id_of(1)) is None
    assert "cannot be read" in caplog.text
    assert CONTRIBUTOR not in caplog.text and id_of(1) not in caplog.text


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"contribution": id_of(1)}, True),
        ({"contributor": CONTRIBUTOR}, True),
        ({"contribution": id_of(2)}, False),
        ({"contributor": "e" * 64}, False),
    ],
)
def test_a_request_to_erase_is_found_by_id_and_by_contributor(bucket: Bucket, request_: dict[str, str], expected: bool) -> None:
    bucket.write(layout.erasure_request("broken"), b"no JSON")
    asked = ErasureRequest(request=id_of(9), requested_at="2026-11-22T12:00:00+00:00", **request_)
    bucket.write(layout.erasure_request(asked.request), asked.to_json())
    assert ErasureRequests(bucket).include(record_of(id_of(1))) is expected
