"""Contributing a photo and deleting it, in a real browser on a phone's screen, with the real service."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from fruits_contract import layout
from fruits_contract.contributions import Contribution
from serving.contributions import CONSENT_VERSION
from tests.serving.conftest import Service
from tests.serving.test_page import LANGUAGES, PHONE, axe_violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

Records = Callable[[], list[Contribution]]


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, doubting_service: Service, language: str) -> Iterator[Page]:
    """The page of a service that is sure of nothing."""
    context = browser.new_context(viewport=PHONE, locale=language, permissions=["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(doubting_service.url)
    yield opened
    assert errors == []
    context.close()


@pytest.fixture
def cherry(photos: dict[str, list[bytes]], tmp_path: Path) -> Path:
    path = tmp_path / "cherry.jpg"
    path.write_bytes(photos["Cherry 3"][0])
    return path


@pytest.fixture
def records(s3: S3Client, doubting_models: str) -> Records:
    """The records of contributions since the beginning of the test."""

    def keys() -> set[str]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=doubting_models, Prefix=layout.CONTRIBUTION_RECORDS)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    before = keys()

    def read() -> list[Contribution]:
        new = sorted(keys() - before)
        return [Contribution.from_json(s3.get_object(Bucket=doubting_models, Key=key)["Body"].read()) for key in new]

    return read


def ask(page: Page, photo: Path) -> None:
    page.set_input_files("#file", photo)
    expect(page.locator("#answers")).to_contain_text("Cherry 3")


def test_consent_is_a_choice_of_its_own_and_unticked(page: Page, cherry: Path, language: str, records: Records) -> None:
    expect(page.locator("#contribute")).to_be_hidden()
    ask(page, cherry)
    expect(page.locator("#contribute")).to_be_visible()
    assert not page.locator("#consent").is_checked()
    for words in {"en": ("European Union", "15 days", "token"), "fr": ("Union européenne", "15 jours", "jeton")}[language]:
        expect(page.locator("#terms")).to_contain_text(words)
    page.locator("#contribute button").click()
    expect(page.locator("#contribution-state")).to_contain_text({"en": "Tick the box", "fr": "Cochez"}[language])
    assert records() == []


def test_a_photo_is_contributed_and_deleted_by_its_token(page: Page, cherry: Path, language: str, records: Records) -> None:
    ask(page, cherry)
    page.locator("#consent").check()
    page.locator("#contribute button").click()
    expect(page.locator("#receipt")).to_be_visible()
    (record,) = records()
    assert (record.consent.version, record.consent.language) == (CONSENT_VERSION, language)
    token = page.locator("#token").inner_text()
    page.locator("#copy").click()
    expect(page.locator("#contribution-state")).to_contain_text({"en": "Copied", "fr": "Copié"}[language])
    assert page.evaluate("navigator.clipboard.readText()") == token

    ask(page, cherry)  # another photo: nothing of the consent before is left
    expect(page.locator("#receipt")).to_be_hidden()
    assert not page.locator("#consent").is_checked()

    page.locator("#erasure summary").click()
    page.locator("#erase-token").fill(token[:-1])
    page.locator("#erase button[type=submit]").click()
    expect(page.locator("#erase-state")).to_contain_text({"en": "not valid", "fr": "pas valable"}[language])
    page.locator("#erase-token").fill(token)
    page.locator("#erase button[type=submit]").click()
    expect(page.locator("#erase-state")).to_contain_text({"en": "will be deleted", "fr": "seront supprimés"}[language])


def test_the_token_is_not_lost_when_another_photo_is_chosen_meanwhile(page: Page, cherry: Path, records: Records) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    ask(page, cherry)
    page.locator("#consent").check()
    page.route("**/contributions", hold)
    with page.expect_request("**/contributions"):
        page.locator("#send").click()
    with page.expect_response("**/predict"):
        page.set_input_files("#file", cherry)
    expect(page.locator("#contribute")).to_be_visible()
    held[0].continue_()
    expect(page.locator("#erase-token")).not_to_have_value("")
    (record,) = records()
    assert page.locator("#erase-token").input_value().startswith(record.contribution)
    expect(page.locator("#contribute")).to_be_visible()
    expect(page.locator("#receipt")).to_be_hidden()
    page.locator("#erasure summary").click()
    expect(page.locator("#erase-all")).to_be_visible()


def test_a_double_click_keeps_one_photo(page: Page, cherry: Path, records: Records) -> None:
    ask(page, cherry)
    page.locator("#consent").check()
    page.locator("#send").dblclick()
    expect(page.locator("#receipt")).to_be_visible()
    assert len(records()) == 1


def test_a_browser_deletes_all_of_its_photos(page: Page, cherry: Path, language: str) -> None:
    page.locator("#erasure summary").click()
    expect(page.locator("#erase-all")).to_be_hidden()
    ask(page, cherry)
    page.locator("#consent").check()
    page.locator("#send").click()
    expect(page.locator("#receipt")).to_be_visible()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#erase-all").click()
    assert [url for url in requests if url.endswith("/erasures")] == []
    expect(page.locator("#erase-state")).to_be_empty()

    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.once("dialog", accept)
    page.locator("#erase-all").click()
    expect(page.locator("#erase-state")).to_contain_text(
        {"en": "All photos of this browser", "fr": "Toutes les photos de ce navigateur"}[language]
    )
    assert asked[0].startswith({"en": "Delete all photos that this", "fr": "Supprimer toutes les photos données"}[language])


def test_photos_of_one_browser_have_one_contributor(page: Page, cherry: Path, records: Records) -> None:
    for _ in range(2):
        ask(page, cherry)
        page.locator("#consent").check()
        page.locator("#contribute button").click()
        expect(page.locator("#receipt")).to_be_visible()
    assert len({record.contributor for record in records()}) == 1
    assert len(records()) == 2


def test_axe_finds_no_violation_and_nothing_is_wider_than_the_phone(page: Page, cherry: Path) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        ask(page, cherry)
        page.locator("#consent").check()
        assert axe_violations(page) == []
        page.locator("#contribute button").click()
        expect(page.locator("#receipt")).to_be_visible()
        page.locator("#erasure").evaluate("details => details.open = true")
        assert axe_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_it_works_by_keyboard(page: Page, cherry: Path, records: Records) -> None:
    ask(page, cherry)
    page.locator("#result").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "consent"
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#receipt")).to_be_focused()
    assert len(records()) == 1


def test_a_service_that_keeps_nothing_asks_for_nothing(browser: Browser, service: Service, language: str) -> None:
    opened = browser.new_page(locale=language)
    opened.goto(service.url)
    expect(opened.locator("h1")).not_to_be_empty()
    expect(opened.locator("#erasure")).to_be_hidden()
    expect(opened.locator("#contribute")).to_be_hidden()
    opened.close()


def test_the_page_says_when_a_photo_was_erased(
    page: Page, cherry: Path, language: str, s3: S3Client, doubting_models: str
) -> None:
    ask(page, cherry)
    page.locator("#consent").check()
    page.locator("#contribute button").click()
    expect(page.locator("#receipt")).to_be_visible()
    token = page.locator("#token").inner_text()
    certificate = {"erasures": [{"finished_at": "2026-11-27T12:00:00+00:00"}]}
    key = layout.erasure_certificate(token.partition(".")[0])
    s3.put_object(Bucket=doubting_models, Key=key, Body=json.dumps(certificate).encode())
    page.locator("#erase-now").click()
    expect(page.locator("#contribution-state")).to_contain_text(
        {"en": "Deleted on 11/27/2026", "fr": "Supprimée le 27/11/2026"}[language]
    )
