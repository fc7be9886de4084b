"""What the routes of the review answer, and which requests they refuse."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.ui.app import app
from fruits_contract import layout
from fruits_contract.contributions import ACCEPTED, Contribution
from tests.fixtures.contributed import CONTRIBUTOR, add_accepted, contribute, id_of, jpeg
from tests.fixtures.packed_drop import put_shard
from tests.fixtures.published_run import add_photos

pytestmark = pytest.mark.slow

OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def reviewer(reader: TestClient) -> TestClient:
    """A client that sends what the page sends."""
    reader.headers.update(OWN)
    return reader


def shown(client: TestClient) -> dict[str, Any]:
    """Claim the next photo, and return what a decision names."""
    found = client.post("/review/next", json={}).json()
    return {name: found[name] for name in ("contribution", "token")}


def test_the_runs_page_leads_to_the_review_and_counts(reader: TestClient, bucket: Bucket) -> None:
    for number in range(3):
        contribute(bucket, number)
    page = reader.get("/").text
    assert '<a href="review">Review contributed photos (3 waiting)</a>' in page


def test_a_photo_comes_with_its_guess_and_known_photos(reviewer: TestClient, bucket: Bucket, s3: S3Client) -> None:
    add_photos(s3, bucket, "2026-11-20", ["Apple 21/0.jpg"], content=jpeg("green"))
    photo = contribute(bucket, photo=jpeg("red"))
    response = reviewer.post("/review/next", json={})
    assert CONTRIBUTOR not in response.text
    found = response.json()
    assert (found["contribution"], found["verdict"], found["waiting"]) == (photo, "not_sure", 1)
    assert found["varieties"][0] == {"name": "Apple 21", "probability": 0.52}
    assert [item["variety"] for item in found["known"]] == ["Apple 21", "Apple Rotten 1", "Cherry 3"]
    (address,) = found["known"][0]["photos"]
    for answer, color in (
        (reviewer.post("/review/photo", json={"contribution": photo, "token": found["token"]}), "red"),
        (reviewer.get(f"/{address}"), "green"),
    ):
        assert answer.content == jpeg(color)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, no-store"


def test_known_photos_are_those_of_shards_too(reviewer: TestClient, bucket: Bucket) -> None:
    contribute(bucket)
    put_shard(bucket, "2026-11-20", "a", {"Apple 2/0.jpg": jpeg("red"), "Apple 21/0.jpg": jpeg("red"), "Apple 22/0.jpg": b""})
    put_shard(bucket, "2026-11-20", "b", {"Apple 21/0.jpg": jpeg("green"), f"Apple 21/contributed-{id_of(1)}.jpg": b""})
    addresses = reviewer.post("/review/next", json={}).json()["known"][0]["photos"]
    assert addresses == ["review/known/2026-11-20/Apple%2021/0.jpg"]
    assert reviewer.get(f"/{addresses[0]}").content == jpeg("green")


def test_only_the_reviewer_who_has_it_sees_the_photo(reviewer: TestClient, bucket: Bucket) -> None:
    photo = contribute(bucket)
    shown(reviewer)
    response = reviewer.post("/review/photo", json={"contribution": photo, "token": "0" * 32})
    assert (response.status_code, response.json()) == (409, {"reason": "claim_lost"})


def test_a_contributed_photo_of_a_drop_is_not_served(reviewer: TestClient, bucket: Bucket) -> None:
    key = add_accepted(bucket, "first", "Apple 21")
    assert reviewer.get(f"/review/known/{key.removeprefix(layout.RAW)}").status_code == 404


def test_an_accepted_photo_goes_into_a_drop(reviewer: TestClient, bucket: Bucket) -> None:
    photo = contribute(bucket)
    response = reviewer.post("/review/accept", json={**shown(reviewer), "label": "Apple 21"})
    record = Contribution.from_json(bucket.read(layout.contribution_record(photo)))
    assert response.json() == {"drop": record.drop}
    assert (record.state, record.label) == (ACCEPTED, "Apple 21")


def test_a_new_variety_is_confirmed(reviewer: TestClient, bucket: Bucket) -> None:
    contribute(bucket)
    decision = {**shown(reviewer), "label": "Durian 1"}
    response = reviewer.post("/review/accept", json=decision)
    assert (response.status_code, response.json()) == (422, {"reason": "unknown_variety"})
    assert reviewer.post("/review/accept", json={**decision, "is_new": True}).status_code == 200


def test_a_name_that_cannot_be_a_folder_is_refused_with_the_reason(reviewer: TestClient, bucket: Bucket) -> None:
    contribute(bucket)
    response = reviewer.post("/review/accept", json={**shown(reviewer), "label": "a/b", "is_new": True})
    assert (response.status_code, response.json()["reason"]) == (422, "invalid_variety")


def test_a_rejected_photo_is_gone(reviewer: TestClient, bucket: Bucket) -> None:
    contribute(bucket)
    assert reviewer.post("/review/reject", json=shown(reviewer)).status_code == 200
    assert list(bucket.objects(layout.CONTRIBUTIONS)) == []
    assert reviewer.post("/review/next", json={}).json() == {"contribution": None, "waiting": 0}


def test_a_skipped_photo_is_shown_to_others_only(reviewer: TestClient, bucket: Bucket) -> None:
    photo = contribute(bucket)
    reviewer.post("/review/skip", json=shown(reviewer))
    assert reviewer.post("/review/next", json={"skipped": [photo]}).json() == {"contribution": None, "waiting": 1}
    assert shown(reviewer)["contribution"] == photo


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_the_slower_of_two_reviewers_is_told(reviewer: TestClient, bucket: Bucket, action: str) -> None:
    photo = contribute(bucket)
    reviewer.post("/review/accept", json={**shown(reviewer), "label": "Apple 21"})
    late = {"contribution": photo, "token": "0" * 32, "label": "Cherry 3"}
    response = reviewer.post(f"/review/{action}", json=late)
    assert (response.status_code, response.json()) == (409, {"reason": "claim_lost"})


def test_a_photo_that_was_erased_is_gone(reviewer: TestClient, bucket: Bucket) -> None:
    photo = contribute(bucket)
    decision = {**shown(reviewer), "label": "Apple 21"}
    bucket.erase(layout.contribution_record(photo))
    response = reviewer.post("/review/accept", json=decision)
    assert (response.status_code, response.json()) == (409, {"reason": "gone"})


@pytest.mark.parametrize("contribution", ["../../x", "20261122-" + "0" * 31, id_of(1) + "\n"])
def test_what_is_no_id_is_refused(reviewer: TestClient, contribution: str) -> None:
    assert reviewer.post("/review/reject", json={"contribution": contribution, "token": "x"}).status_code == 422


def test_only_the_review_may_send(reader: TestClient) -> None:
    policy = reader.get("/review").headers["content-security-policy"]
    assert "connect-src 'self'" in policy and "img-src 'self' blob:;" in policy and "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    other = reader.get("/").headers["content-security-policy"]
    assert "connect-src" not in other and "blob:" not in other


# What a page of another site can make its visitor's browser send, and what is no browser's at all.
FORGED = [
    {"content-type": "application/x-www-form-urlencoded", "origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"content-type": "text/plain", "origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"content-type": "text/plain", **OWN},
    {"content-type": "application/json", "origin": "https://evil.example"},
    {"content-type": "application/json", "origin": "null"},
    {"content-type": "application/json", "origin": "http://testserver.evil.example"},
    {"content-type": "application/json", "origin": "http://testserver:81"},
    {"content-type": "application/json", "origin": "http://testserver", "sec-fetch-site": "same-site"},
    {"content-type": "application/json", "sec-fetch-site": "none"},
    {"content-type": "application/json"},
    {"sec-fetch-site": "same-origin"},
]


def test_a_forged_request_changes_nothing(reader: TestClient, bucket: Bucket) -> None:
    contribute(bucket)
    reader.headers.update(OWN)
    body = json.dumps({**shown(reader), "label": "Apple 21"})
    before = {item.key: item.etag for item in bucket.objects("")}
    forger = TestClient(app)
    for headers in FORGED:
        for action in ("next", "photo", "accept", "reject", "skip"):
            response = forger.post(f"/review/{action}", content=body, headers=headers)
            assert response.status_code == 403, (action, headers)
    assert {item.key: item.etag for item in bucket.objects("")} == before


@pytest.mark.parametrize("headers", [OWN, {"origin": "http://testserver"}, {"origin": "https://testserver", **OWN}])
def test_the_pages_own_request_is_answered(reader: TestClient, headers: dict[str, str]) -> None:
    assert reader.post("/review/next", json={}, headers=headers).status_code == 200
