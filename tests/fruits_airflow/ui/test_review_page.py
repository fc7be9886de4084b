"""The page of the review in a real browser on a phone's screen: by keyboard, with axe, and with two reviewers."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from mypy_boto3_s3 import S3Client
from playwright.sync_api import Browser, Page, expect

from fruits_airflow.bucket import Bucket
from fruits_contract import layout
from fruits_contract.contributions import ACCEPTED, Contribution
from local.stack import ports
from local.waiting import wait_until
from tests.fixtures.contributed import contribute, id_of, jpeg
from tests.fixtures.published_run import add_photos

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SCREENSHOTS = os.environ.get("SCREENSHOTS")
PHONE = {"width": 360, "height": 740}
TIMEOUT_MS = 30_000
# The words of the slower reviewer's message.
FASTER = "Another reviewer was faster"


@pytest.fixture
def url(reader: TestClient) -> Iterator[str]:
    """The address of the pages, without login and permissions."""
    port = ports.choose({"airflow": 18080})["airflow"]
    running = uvicorn.Server(uvicorn.Config(reader.app, port=port, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    assert wait_until(lambda: running.started, timeout_s=60, every_s=0.1)
    yield f"http://127.0.0.1:{port}/review"
    running.should_exit = True
    thread.join(30)


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """A page on a phone, which reports no error and asks nobody else."""
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if "policy" in message.text.lower() else None)
    yield opened
    assert problems == []
    context.close()


def violations(page: Page) -> list[str]:
    return [f"{item['id']}: {item['help']}" for item in Axe().run(page).response["violations"]]


def keep_screenshot(page: Page) -> None:
    """Keep what a reviewer would see, where SCREENSHOTS names a folder."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / "review.png", full_page=True)


def state_of(bucket: Bucket, contribution: str) -> tuple[str, str]:
    record = Contribution.from_json(bucket.read(layout.contribution_record(contribution)))
    return record.state, record.label


def is_given_back(bucket: Bucket, contribution: str) -> bool:
    return b'"token": ""' in bucket.read(layout.contribution_claim(contribution))


def test_photos_are_reviewed_by_keyboard_alone(page: Page, url: str, bucket: Bucket, s3: S3Client) -> None:
    add_photos(s3, bucket, "2026-11-20", ["Apple 21/0.jpg"], content=jpeg("green"))
    for number in range(1, 5):
        contribute(bucket, number, photo=jpeg("red"))
    page.goto(url)
    status = page.get_by_role("status")
    expect(page.get_by_role("img", name="The contributed photo")).to_be_visible()
    expect(page.get_by_role("img", name="Apple 21, known photo 1")).to_be_visible()
    expect(page.get_by_text("Apple Rotten 1: 40.0 %")).to_be_visible()
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth === 100)")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert violations(page) == []
    keep_screenshot(page)
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []

    page.keyboard.press("2")
    expect(page.get_by_label("Variety", exact=True)).to_have_value("Apple Rotten 1")
    page.keyboard.press("a")
    expect(status).to_contain_text("Accepted as Apple Rotten 1")
    assert state_of(bucket, id_of(1)) == (ACCEPTED, "Apple Rotten 1")

    page.keyboard.press("v")
    expect(page.get_by_label("Variety", exact=True)).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is visible"
    page.keyboard.press("Control+a")
    page.keyboard.type("Durian rs")  # letters that are keys of the page elsewhere
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No published photo is of this variety")
    assert violations(page) == []
    page.keyboard.press("Space")
    page.keyboard.press("a")
    expect(status).to_contain_text("Accepted as Durian rs")
    assert state_of(bucket, id_of(2)) == (ACCEPTED, "Durian rs")

    page.keyboard.press("s")
    expect(status).to_contain_text("Skipped. 2 waiting")
    page.keyboard.press("r")
    expect(page.get_by_text("No photos to review")).to_be_visible()
    expect(status).to_contain_text("Rejected and deleted. 1 waiting")
    assert violations(page) == []
    left = [item.key for item in bucket.objects(layout.CONTRIBUTED_PHOTOS)]
    assert left == [layout.contribution_photo(id_of(3))]


def test_the_slower_of_two_reviewers_is_told_and_goes_on(page: Page, url: str, bucket: Bucket, browser: Browser) -> None:
    for number in (1, 2, 3):
        contribute(bucket, number, photo=jpeg("red"))
    page.goto(url)
    expect(page.get_by_role("img", name="The contributed photo")).to_be_visible()
    other = browser.new_page()
    other.set_default_timeout(TIMEOUT_MS)
    other.goto(url)
    expect(other.get_by_role("img", name="The contributed photo")).to_be_visible()
    claims = [item.key for item in bucket.objects(layout.CONTRIBUTION_CLAIMS)]
    assert claims == [layout.contribution_claim(id_of(number)) for number in (1, 2)], "each has another photo"

    bucket.write(layout.contribution_claim(id_of(1)), b'{"token": "somebody else", "claimed_at": ""}')
    page.keyboard.press("r")
    expect(page.get_by_role("status")).to_contain_text(FASTER)
    expect(page.get_by_role("img", name="The contributed photo")).to_be_visible()
    assert len(list(bucket.objects(layout.CONTRIBUTED_PHOTOS))) == 3

    other.close(run_before_unload=True)
    page.goto("about:blank")


def test_a_photo_is_given_back_when_its_reviewer_leaves(page: Page, url: str, bucket: Bucket) -> None:
    contribute(bucket, photo=jpeg("red"))
    for _ in range(2):
        page.goto(url)
        expect(page.get_by_role("img", name="The contributed photo")).to_be_visible()
        page.goto("about:blank")
        assert wait_until(lambda: is_given_back(bucket, id_of(1)), timeout_s=30, every_s=0.1)


def test_the_keys_can_be_turned_off(page: Page, url: str, bucket: Bucket) -> None:
    contribute(bucket, photo=jpeg("red"))
    page.goto(url)
    page.get_by_label("Use these keys").uncheck()
    for key in "ras":
        page.keyboard.press(key)
    expect(page.get_by_role("img", name="The contributed photo")).to_be_visible()
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_text("No photos to review")).to_be_visible()
