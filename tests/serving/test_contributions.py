"""Contributed photos: what is stored, of whom, and what is not; and the token that erases."""

import asyncio
import hashlib
import io
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from mypy_boto3_s3 import S3Client
from PIL import Image
from yarl import URL

from fruits_contract import layout
from fruits_contract.contributions import Contribution, ErasureRequest, new_id, received_on
from local import REPO
from serving.contributions import CONSENT_VERSION, Contributions
from tests.faults.fault_proxy import FaultProxy
from tests.fixtures.photo_metadata import DRAWING, SECRETS, photos_with_metadata, segments_of
from tests.serving.conftest import CONSENT, CONTRIBUTOR_KEY, Service, Start

pytestmark = pytest.mark.slow

Stored = Callable[[], dict[str, bytes]]


@pytest.fixture
def cherry(photos: dict[str, list[bytes]]) -> bytes:
    return photos["Cherry 3"][0]


@pytest.fixture
def stored(s3: S3Client, doubting_models: str) -> Stored:
    """Everything below contributions/ and erasures/, by key; emptied before the test."""

    def read() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for prefix in (layout.CONTRIBUTIONS, "erasures/"):
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=doubting_models, Prefix=prefix):
                for item in page.get("Contents", []):
                    found[item["Key"]] = s3.get_object(Bucket=doubting_models, Key=item["Key"])["Body"].read()
        return found

    for key in read():
        s3.delete_object(Bucket=doubting_models, Key=key)
    return read


def test_a_photo_in_doubt_is_kept_with_consent_and_guess(doubting_service: Service, stored: Stored, cherry: bytes) -> None:
    response = doubting_service.contribute(cherry)
    assert response.status_code == 200, response.text
    content = response.json()
    contribution = content["receipt"]["contribution"]
    found = stored()
    assert set(found) == {layout.contribution_photo(contribution), layout.contribution_record(contribution)}
    record = Contribution.from_json(found[layout.contribution_record(contribution)])
    assert record.consent.version == CONSENT_VERSION
    assert record.consent.language == "fr"
    assert received_on(contribution).date() == datetime.now(UTC).date()
    assert record.guess.verdict == content["answer"]["verdict"] == "not_sure"
    assert record.guess.varieties[0][0] == "Cherry 3"
    assert CONSENT["contributor"] not in str(found), "the code itself is not stored, only its keyed hash"
    kept = np.asarray(Image.open(io.BytesIO(found[layout.contribution_photo(contribution)])), float)
    sent = np.asarray(Image.open(io.BytesIO(cherry)).convert("RGB"), float)
    assert kept.shape == sent.shape
    assert np.abs(kept - sent).mean() < 3


def test_one_contributor_has_one_hash_and_it_depends_on_the_key(
    doubting_service: Service, start: Start, doubting_models: str, stored: Stored, cherry: bytes
) -> None:
    other_key = start(doubting_models, contributor_key="o" * 32)
    for service in (doubting_service, doubting_service, other_key):
        assert service.contribute(cherry).json()["receipt"]
    doubting_service.contribute(cherry, {**CONSENT, "contributor": "1" * 32})
    hashes = [Contribution.from_json(content).contributor for key, content in stored().items() if key.endswith(".json")]
    assert sorted(hashes.count(each) for each in set(hashes)) == [1, 1, 2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"consent": ""}, "no_consent"),
        ({"consent": "2020-01-01"}, "consent_outdated"),
        ({"contributor": ""}, "no_contributor"),
        ({"contributor": "../" * 10 + "aa"}, "no_contributor"),
        ({"language": "xx"}, "no_language"),
    ],
)
def test_without_consent_nothing_is_stored(
    doubting_service: Service, stored: Stored, cherry: bytes, change: dict[str, str], reason: str
) -> None:
    response = doubting_service.contribute(cherry, {**CONSENT, **change})
    assert (response.status_code, response.json()["reason"]) == (422, reason)
    doubting_service.predict(cherry)
    assert stored() == {}


def test_what_the_classifier_is_sure_of_is_not_stored(start: Start, models: str, s3: S3Client, cherry: bytes) -> None:
    service = start(models, contributor_key=CONTRIBUTOR_KEY)
    content = service.contribute(cherry).json()
    assert content["answer"]["verdict"] == "sure"
    assert content["receipt"] is None
    assert content["not_kept"] == "sure"
    assert "Contents" not in s3.list_objects_v2(Bucket=models, Prefix=layout.CONTRIBUTIONS)


def test_a_contributor_has_a_number_of_photos_a_day(start: Start, doubting_models: str, cherry: bytes) -> None:
    service = start(doubting_models, contributor_key=CONTRIBUTOR_KEY, contributions_per_day=2)
    answers = [service.contribute(cherry).json()["not_kept"] for _ in range(3)]
    assert answers == [None, None, "too_many"]
    other = {**CONSENT, "contributor": "1" * 32}
    assert service.contribute(cherry, other).json()["not_kept"] is None
    made_up = [service.contribute(cherry, {**CONSENT, "contributor": f"{number:032x}"}).json() for number in range(2, 25)]
    assert made_up[-1]["not_kept"] == "too_many", "nor may an address make up contributors"


def test_a_photo_that_cannot_be_read_is_not_stored(doubting_service: Service, stored: Stored, cherry: bytes) -> None:
    assert doubting_service.contribute(cherry[:500]).status_code == 422
    assert stored() == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_cannot_contribute_or_erase(
    doubting_service: Service, stored: Stored, cherry: bytes, headers: dict[str, str]
) -> None:
    token = doubting_service.contribute(cherry).json()["receipt"]["token"]
    before = stored()
    for response in (doubting_service.contribute(cherry, **headers), doubting_service.erase(token, **headers)):
        assert (response.status_code, response.json()["reason"]) == (403, "cross_site")
    assert stored() == before


def test_the_own_page_and_programs_can(doubting_service: Service, cherry: bytes) -> None:
    assert doubting_service.contribute(cherry, Origin=doubting_service.url).is_success
    assert doubting_service.contribute(cherry, **{"Sec-Fetch-Site": "same-origin"}).is_success


def test_a_token_requests_the_erasure_of_its_photo_alone(doubting_service: Service, stored: Stored, cherry: bytes) -> None:
    receipts = [doubting_service.contribute(cherry).json()["receipt"] for _ in range(2)]
    before = stored()
    for _ in range(2):
        response = doubting_service.erase(receipts[0]["token"])
        assert (response.status_code, response.json()["state"]) == (202, "requested")
    new = {key: content for key, content in stored().items() if key not in before}
    first = receipts[0]["contribution"]
    assert set(new) == {layout.erasure_request(first)}
    assert ErasureRequest.from_json(new[layout.erasure_request(first)]).contribution == first


def test_a_token_cannot_be_made_up_or_used_for_another_photo(doubting_service: Service, stored: Stored, cherry: bytes) -> None:
    one, other = (doubting_service.contribute(cherry).json()["receipt"] for _ in range(2))
    signature = one["token"].partition(".")[2]
    made_up = [
        "",
        one["contribution"],
        f"{one['contribution']}.",
        f"{one['contribution']}.{'0' * 64}",
        f"{other['contribution']}.{signature}",
        f"{one['contribution'][:-1]}x.{signature}",
        f"{one['token']}0",
        f"../{one['token']}",
        signature,
        f".{signature}",
        "é" * 100,
    ]
    before = stored()
    for token in made_up:
        response = doubting_service.erase(token)
        assert (response.status_code, response.json()["reason"]) == (404, "unknown_token"), token
    assert stored() == before
    assert len(signature) == 64
    assert len({each["token"] for each in (one, other)}) == 2


def test_the_certificate_is_shown_once_there_is_one(
    doubting_service: Service, s3: S3Client, doubting_models: str, stored: Stored, cherry: bytes
) -> None:
    receipt = doubting_service.contribute(cherry).json()["receipt"]
    certificate: dict[str, Any] = {"erasures": [{"finished_at": "2026-11-27T12:00:00+00:00"}]}
    key = layout.erasure_certificate(receipt["contribution"])
    s3.put_object(Bucket=doubting_models, Key=key, Body=json.dumps(certificate).encode())
    assert doubting_service.erase(receipt["token"]).json() == {"state": "erased", "certificate": certificate}
    assert layout.erasure_request(receipt["contribution"]) not in stored()


def test_s3s_403_for_a_certificate_that_is_not_there_stops_no_erasure(
    s3: S3Client, bucket: str, s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service may not list the bucket, so S3 does not tell it what is not there."""

    async def refuse_reading(request: web.Request) -> web.Response | None:
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>") if request.method == "GET" else None

    proxy = FaultProxy(lambda: URL(s3_environment["AWS_ENDPOINT_URL_S3"]).port or 0)
    proxy.fault = refuse_reading
    with proxy.running():
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{proxy.port}")
        contributions = Contributions(bucket, key=CONTRIBUTOR_KEY)
        contribution = new_id(datetime.now(UTC))
        assert asyncio.run(contributions.erase(contributions.token_of(contribution))).state == "requested"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [layout.erasure_request(contribution)]
    s3.delete_object(Bucket=bucket, Key=layout.erasure_request(contribution))


def test_without_a_key_nothing_is_kept(service: Service, cherry: bytes) -> None:
    assert service.http.get(f"{service.url}/contributions").json() == {"keeps_photos": False, "consent": CONSENT_VERSION}
    for response in (service.contribute(cherry), service.erase(f"{new_id(datetime.now(UTC))}.{'0' * 64}")):
        assert (response.status_code, response.json()["reason"]) == (404, "no_contributions")


def test_the_version_of_the_consent_is_that_of_its_text() -> None:
    texts = (REPO / "serving" / "static" / "texts.js").read_text()
    assert f'export const CONSENT_VERSION = "{CONSENT_VERSION}"' in texts
    agreed_to = re.findall(r"\n    consent:.*?\n    send:", texts, re.DOTALL)
    assert len(agreed_to) == 2, "English and French"
    digest = hashlib.sha256("".join(agreed_to).encode()).hexdigest()
    assert (CONSENT_VERSION, digest[:16]) == ("2026-11-28", "918d975dc494f507"), "another text is another version"


def test_a_large_or_slow_request_to_erase_is_refused(start: Start, doubting_models: str) -> None:
    service = start(doubting_models, contributor_key=CONTRIBUTOR_KEY, read_timeout_s=0.5)
    assert service.erase("x" * 5000).status_code == 413

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    assert service.http.post(f"{service.url}/erasures", content=chunks()).status_code == 413

    def slow() -> Iterator[bytes]:
        yield b"{"
        time.sleep(2)
        yield b"}"

    assert service.http.post(f"{service.url}/erasures", content=slow()).status_code == 408


def test_a_browser_erases_all_of_its_photos(doubting_service: Service, stored: Stored, cherry: bytes) -> None:
    doubting_service.contribute(cherry)
    before = stored()
    address = f"{doubting_service.url}/erasures"
    response = doubting_service.http.post(address, json={"contributor": CONSENT["contributor"]})
    assert (response.status_code, response.json()["state"]) == (202, "requested")
    (key,) = stored().keys() - before.keys()
    request = ErasureRequest.from_json(stored()[key])
    assert key == layout.erasure_request(request.request)
    (record,) = (content for name, content in before.items() if name.endswith(".json"))
    assert request.contributor == Contribution.from_json(record).contributor
    assert doubting_service.http.post(address, json={"contributor": "x"}).status_code == 422


def test_an_address_has_a_number_of_erasures_of_contributors_a_day(start: Start, doubting_models: str, cherry: bytes) -> None:
    service = start(doubting_models, contributor_key=CONTRIBUTOR_KEY, contributions_per_day=1)
    token = service.contribute(cherry).json()["receipt"]["token"]
    address = f"{service.url}/erasures"
    made_up = [service.http.post(address, json={"contributor": f"{number:032x}"}) for number in range(11)]
    assert [response.status_code for response in made_up] == [202] * 10 + [429]
    assert made_up[-1].json()["reason"] == "rate_limited"
    assert made_up[-1].headers["retry-after"] == "3600"
    assert service.erase(token).status_code == 202, "a token can always be used"


def test_one_contributor_does_not_use_up_the_share_of_their_address(start: Start, doubting_models: str, cherry: bytes) -> None:
    service = start(doubting_models, contributor_key=CONTRIBUTOR_KEY, contributions_per_day=1)
    assert [service.contribute(cherry).json()["not_kept"] for _ in range(12)] == [None] + ["too_many"] * 11
    assert service.contribute(cherry, {**CONSENT, "contributor": "1" * 32}).json()["receipt"]


def test_nothing_of_forty_kinds_of_metadata_is_stored(
    doubting_service: Service, stored: Stored, cherry: bytes, tmp_path: Path
) -> None:
    for name, content in photos_with_metadata(cherry).items():
        response = doubting_service.contribute(content)
        assert response.is_success, f"{name}: {response.text}"
        assert response.json()["receipt"], name
    found = {key: content for key, content in stored().items() if key.endswith(".jpg")}
    assert len(found) == 40
    for key, content in found.items():
        assert segments_of(content) <= DRAWING, key
        assert content.count(b"\xff\xd8\xff") == 1, "no second picture"
        assert content.endswith(b"\xff\xd9")
    everything = b"".join(stored().values()) + doubting_service.log.read_bytes()
    assert [secret for secret in SECRETS if secret in everything] == []
    if exiftool := shutil.which("exiftool"):
        for number, content in enumerate(found.values()):
            (tmp_path / f"{number}.jpg").write_bytes(content)
        argv = [exiftool, "-j", "-a", "-G0", "--File:all", "--ExifTool:all", "--Composite:all", "--SourceFile", str(tmp_path)]
        described = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
        groups = {name.partition(":")[0] for photo in described for name in photo if ":" in name}
        assert groups <= {"JFIF"}, groups
