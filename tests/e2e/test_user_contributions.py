"""The life of a contributed photo, in a real browser: doubt, consent, review, the next drop, a retrained classifier, erasure.

About ten minutes, so `make test-contributions` runs it, and not `make test`.
"""

import gzip
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Page, expect

from fruits_contract import layout
from fruits_contract.contributions import Contribution
from local import serve
from local.waiting import wait_until
from tests.e2e import training
from tests.e2e.airflow_login import logged_in_page
from tests.e2e.embedded_stack import DAG, HOUSEKEEPING, REAL_PHOTOS, Ended, Stack

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.browser, pytest.mark.separate]

LABEL = "Cherry 3"
OUT = Path(os.environ["SCREENSHOTS"]) if os.environ.get("SCREENSHOTS") else None


@pytest.fixture(scope="module")
def doubtful_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of a cherry that the classifier has not seen, out of focus and dark, with EXIF."""
    photo = (
        Image.open(sorted((REAL_PHOTOS / LABEL).glob("*.jpg"))[1]).filter(ImageFilter.GaussianBlur(3)).point(lambda v: v * 0.6)
    )
    exif = Image.Exif()
    exif[271] = "SecretMaker"
    path = tmp_path_factory.mktemp("doubtful") / "doubtful.jpg"
    photo.save(path, exif=exif, quality=95)
    return path


@pytest.fixture(scope="module")
def service(stack: Stack, trained: Ended) -> Iterator[str]:
    """The prediction service of `make serve`, with the classifier that was trained."""
    assert trained.state == "success"
    with serve.started(stack.services) as (process, url):

        def is_ready() -> bool:
            try:
                return httpx.get(f"{url}/ready", trust_env=False).is_success
            except httpx.TransportError:
                return False

        assert wait_until(is_ready, timeout_s=60, every_s=0.2)
        yield url
        process.terminate()
        process.wait(30)


@dataclass(frozen=True)
class Contributed:
    """A photo that was contributed."""

    record: Contribution
    stored: bytes
    token: str


def contribute(browser: Browser, stack: Stack, service: str, photo: Path) -> Contributed:
    before = stack.keys(layout.CONTRIBUTION_RECORDS)
    page = browser.new_context(viewport={"width": 360, "height": 740}).new_page()
    page.goto(service)
    page.set_input_files("#file", photo)
    expect(page.locator("#contribute")).to_be_visible(timeout=20_000)
    page.locator("#consent").check()
    page.locator("#contribute button").click()
    expect(page.locator("#receipt")).to_be_visible()
    token = page.locator("#token").inner_text()
    page.context.close()
    (key,) = stack.keys(layout.CONTRIBUTION_RECORDS).keys() - before.keys()
    record = Contribution.from_json(stack.read(key))
    return Contributed(record, stack.read(layout.contribution_photo(record.contribution)), token)


@pytest.fixture(scope="module")
def contributed(browser: Browser, stack: Stack, service: str, doubtful_photo: Path) -> Contributed:
    return contribute(browser, stack, service, doubtful_photo)


@pytest.fixture(scope="module")
def accepted(browser: Browser, stack: Stack, contributed: Contributed) -> Contribution:
    """Its record after the review in Airflow."""
    page = logged_in_page(browser, stack)
    page.goto("/fruits/review")
    expect(page.locator("#photo-and-guess")).to_be_visible()
    page.locator("#label").fill(LABEL)
    keep_screenshot(page, "review")
    page.keyboard.press("Enter")
    expect(page.locator("#nothing")).to_be_visible()
    page.context.close()
    return Contribution.from_json(stack.read(layout.contribution_record(contributed.record.contribution)))


@pytest.fixture(scope="module")
def published(stack: Stack, accepted: Contribution) -> Iterator[tuple[Ended, Ended]]:
    """The runs of the drop that the photo joined, and of the training that its publication started."""
    stack.s3.put_object(Bucket=stack.bucket, Key=layout.ready(accepted.drop), Body=b"")
    stack.pause(training.DAG, is_paused=False)
    before = stack.api.newest_asset_run(training.DAG)
    features = stack.run(accepted.drop)
    assert features.state == "success", features.tasks
    yield features, next_training(stack, before)
    stack.pause(training.DAG, is_paused=True)


def next_training(stack: Stack, before: str | None) -> Ended:
    """Wait for the training after the run `before`, and for its end."""
    assert wait_until(lambda: stack.api.newest_asset_run(training.DAG) != before, timeout_s=120, every_s=1)
    run_id = stack.api.newest_asset_run(training.DAG)
    assert run_id
    return stack.wait(training.DAG, run_id)


def test_the_queue_has_a_copy_without_exif(contributed: Contributed, doubtful_photo: Path) -> None:
    assert b"SecretMaker" in doubtful_photo.read_bytes()
    assert b"SecretMaker" not in contributed.stored
    assert contributed.record.guess.verdict in ("not_sure", "unknown")


def test_an_accepted_photo_is_in_the_next_daily_drop(stack: Stack, contributed: Contributed, accepted: Contribution) -> None:
    assert (accepted.state, accepted.label) == ("accepted", LABEL)
    assert stack.read(layout.contributed_image(accepted.drop, LABEL, accepted.contribution)) == contributed.stored
    assert stack.keys(layout.CONTRIBUTED_PHOTOS) == {}


def test_the_features_name_the_contributor(stack: Stack, accepted: Contribution, published: tuple[Ended, Ended]) -> None:
    rows = stack.table(layout.FEATURES_TABLE).rows("path", "label", "contributor", drop=accepted.drop).to_pylist()
    path = layout.contributed_image(accepted.drop, LABEL, accepted.contribution)
    assert rows == [{"path": path, "label": LABEL, "contributor": accepted.contributor}]
    report = stack.read(layout.report_page(published[0].run)).decode()
    assert accepted.contribution not in report
    assert accepted.contributor not in report


def test_the_classifier_is_trained_again_and_promoted(
    stack: Stack, service: str, trained: Ended, published: tuple[Ended, Ended]
) -> None:
    retrained = published[1]
    assert retrained.tasks["promote"] == "success", retrained.tasks
    current = json.loads(stack.read(layout.CURRENT_MODELS))["classifier"]
    assert current["run"] == retrained.run != trained.run
    retained = json.loads(stack.read(layout.retained(retrained.run)))
    assert any(f"drop={json.loads(stack.read(layout.run_params(published[0].run)))['drop']}/" in key for key in retained)

    def is_served() -> bool:
        return bool(httpx.get(f"{service}/ready", trust_env=False).json()["classifier"] == current["model_id"])

    assert wait_until(is_served, timeout_s=60, every_s=1)


@pytest.fixture(scope="module")
def erased(stack: Stack, service: str, contributed: Contributed, published: tuple[Ended, Ended]) -> dict[str, Any]:
    """The certificate, after the erasure was asked for by its token while a run was under way."""
    assert published[1].state == "success"
    stack.pause(training.DAG, is_paused=False)
    stack.pause(HOUSEKEEPING, is_paused=False)
    before = stack.api.newest_asset_run(training.DAG)
    running = stack.api.trigger(DAG, {"drop": contributed_drop(stack, contributed), "mode": "fit"})
    stack.wait_for_task(running, "featurize", "deferred")
    assert ask_to_erase(service, contributed.token)["state"] == "requested"
    keep_house(stack)
    assert ask_to_erase(service, contributed.token)["state"] == "requested", "it waits for the run"
    assert stack.keys(layout.ERASURE_REQUESTS)
    stack.wait(DAG, running)
    keep_house(stack)
    next_training(stack, before)
    keep_house(stack)
    stack.pause(training.DAG, is_paused=True)
    stack.pause(HOUSEKEEPING, is_paused=True)
    answer = ask_to_erase(service, contributed.token)
    assert answer["state"] == "erased", answer
    if OUT:
        (OUT / "certificate.json").write_text(json.dumps(answer["certificate"], indent=1))
    return dict(answer["certificate"])


def contributed_drop(stack: Stack, contributed: Contributed) -> str:
    return Contribution.from_json(stack.read(layout.contribution_record(contributed.record.contribution))).drop


def ask_to_erase(service: str, token: str) -> dict[str, Any]:
    return dict(httpx.post(f"{service}/erasures", json={"token": token}, trust_env=False).raise_for_status().json())


def keep_house(stack: Stack) -> Ended:
    ended = stack.wait(HOUSEKEEPING, stack.api.trigger(HOUSEKEEPING, {}))
    assert ended.state == "success", ended.tasks
    return ended


def test_nothing_of_an_erased_photo_is_left_anywhere(stack: Stack, contributed: Contributed, erased: dict[str, Any]) -> None:
    record = contributed.record
    wanted = {
        "hash": record.contributor.encode(),
        "photo": contributed.stored,
        "part of the photo": contributed.stored[len(contributed.stored) // 2 :][:64],
        "id": record.contribution.encode(),
    }
    found = [f"{what} in {where}" for where, content in everything_in(stack) for what in wanted if wanted[what] in content]
    certificates = {layout.erasure_certificate(record.contribution), layout.erasure_certificate_page(record.contribution)}
    ids_allowed = {f"id in {key}" for key in certificates} | {f"id in key {key}" for key in certificates}
    assert set(found) - ids_allowed == set()
    models = erased["erasures"][0]["models"]
    assert models["classifier"] and models["pca"], erased


def everything_in(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Yield every version of every object, Parquet files as their columns too, every log, and Airflow's database."""
    for page in stack.s3.get_paginator("list_object_versions").paginate(Bucket=stack.bucket):
        for item in page.get("Versions", []):
            key = item["Key"]
            content = stack.s3.get_object(Bucket=stack.bucket, Key=key, VersionId=item["VersionId"])["Body"].read()
            yield f"key {key}", key.encode()
            yield key, content
            if key.endswith(".parquet"):
                yield key, str(pq.read_table(io.BytesIO(content)).drop_columns(vectors_of(content)).to_pylist()).encode()
            if key.endswith(".gz"):
                yield key, gzip.decompress(content)
    for folder in (stack.services.logs, stack.services.airflow):
        for path in folder.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()


def vectors_of(content: bytes) -> list[str]:
    names = pq.read_schema(io.BytesIO(content)).names
    return [name for name in names if name in ("features", "colors", "projected")]


def test_the_other_rows_are_still_there(stack: Stack, erased: dict[str, Any]) -> None:
    rows = stack.table(layout.FEATURES_TABLE).rows("path", "contributor")
    assert rows.num_rows > 100
    assert set(rows["contributor"].to_pylist()) == {""}
    projected = stack.table(layout.PROJECTED_TABLE).rows("path", pca=stack.current_pca())
    assert sorted(projected["path"].to_pylist()) == sorted(rows["path"].to_pylist())


def test_erasing_twice_is_harmless(stack: Stack, service: str, contributed: Contributed, erased: dict[str, Any]) -> None:
    assert ask_to_erase(service, contributed.token) == {"state": "erased", "certificate": erased}
    assert stack.keys(layout.ERASURE_REQUESTS) == {}


def test_a_rejected_photo_is_deleted(browser: Browser, stack: Stack, service: str, doubtful_photo: Path, erased: Any) -> None:
    contribute(browser, stack, service, doubtful_photo)
    page = logged_in_page(browser, stack)
    page.goto("/fruits/review")
    expect(page.locator("#photo-and-guess")).to_be_visible()
    page.locator("#reject").click()
    expect(page.locator("#nothing")).to_be_visible()
    page.context.close()
    assert stack.keys(layout.CONTRIBUTIONS) == {}


def keep_screenshot(page: Page, name: str) -> None:
    if OUT:
        page.screenshot(path=OUT / f"{name}.png", full_page=True)
