"""The page in a real browser, on a phone's screen: with the real service, and for what it cannot be made to answer, without."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.serving.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PHONE = {"width": 360, "height": 740}
LANGUAGES = ("en", "fr")


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, service: Service, language: str) -> Iterator[Page]:
    """The page, opened by a phone in one of the languages; it may ask nobody but the service, and report no error."""
    context = browser.new_context(viewport=PHONE, locale=language)
    opened = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(service.url)
    yield opened
    assert [url for url in asked if not url.startswith((service.url, "blob:"))] == []
    assert errors == []
    context.close()


@pytest.fixture
def cherry(photos: dict[str, list[bytes]], tmp_path: Path) -> Path:
    """A photo of a cherry with EXIF in it, as a phone makes it."""
    path = tmp_path / "cherry.jpg"
    exif = Image.Exif()
    exif[271] = "PhoneMaker"
    Image.open(io.BytesIO(photos["Cherry 3"][0])).save(path, exif=exif, quality=95)
    assert b"PhoneMaker" in path.read_bytes()
    return path


def answers(page: Page, content: dict[str, Any], *, status: int = 200) -> None:
    """Let the service answer with `content`."""

    def answer(route: Route) -> None:
        route.fulfill(status=status, content_type="application/json", body=json.dumps(content))

    page.route("**/predict", answer)


def answer_of(verdict: str) -> dict[str, Any]:
    top = [{"name": "Apple 21", "probability": 0.52}, {"name": "Apple Rotten 1", "probability": 0.48}]
    fruit = {"name": "apple", "probability": 1.0, "is_sure": True, "top": [{"name": "apple", "probability": 1.0}]}
    condition = {"name": "fresh", "probability": 0.52, "is_sure": False, "top": [{"name": "fresh", "probability": 0.52}]}
    return {
        "verdict": verdict,
        "fruit": fruit,
        "variety": {**top[0], "is_sure": False, "top": top},
        "condition": condition,
        "distance": 1.0,
        "models": {"classifier": "c1", "extractor": "e1"},
        "milliseconds": {"decode": 1, "network": 5, "total": 8.4},
    }


def axe_violations(page: Page) -> list[str]:
    return [f"{item['id']}: {item['help']}" for item in Axe().run(page).response["violations"]]


def test_a_photo_is_answered_in_the_users_language(page: Page, language: str, cherry: Path) -> None:
    page.set_input_files("#file", cherry)
    expect(page.locator("#result-heading")).to_have_text({"en": "Cherry", "fr": "Cerise"}[language])
    expect(page.locator("#answers")).to_contain_text("Cherry 3")
    expect(page.locator("#photo")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == language
    assert page.evaluate("document.activeElement.id") == "result", "a screen reader is where the answer is"


def test_what_is_sent_has_no_exif_and_is_small(page: Page, photos: dict[str, list[bytes]], tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    exif = Image.Exif()
    exif[271] = "PhoneMaker"
    Image.open(io.BytesIO(photos["Cherry 3"][0])).resize((4000, 3000)).save(large, exif=exif, quality=95)
    # Chromium does not show the bodies of such requests to Playwright.
    page.evaluate(
        """() => {
            const send = window.fetch;
            window.fetch = (url, options) => { window.sent = options.body.get("photo"); return send(url, options); };
        }"""
    )
    page.set_input_files("#camera", large)
    expect(page.locator("#details")).not_to_be_empty()
    body = bytes(page.evaluate("window.sent.arrayBuffer().then((buffer) => [...new Uint8Array(buffer)])"))
    assert b"PhoneMaker" not in body
    assert Image.open(io.BytesIO(body)).size == (1024, 768)


@pytest.mark.parametrize(
    ("verdict", "headings"),
    [
        ("not_sure", {"en": "Not sure", "fr": "Pas certain"}),
        ("unknown", {"en": "Not a fruit I know", "fr": "Un fruit que je ne connais pas"}),
    ],
)
def test_doubt_is_said(page: Page, language: str, cherry: Path, verdict: str, headings: dict[str, str]) -> None:
    answers(page, answer_of(verdict))
    page.set_input_files("#file", cherry)
    expect(page.locator("#result-heading")).to_have_text(headings[language])
    expect(page.locator("#advice")).not_to_be_empty()
    expect(page.locator("#answers")).to_contain_text("Apple Rotten 1")
    expect(page.locator("#answers")).to_contain_text(re.compile(r"52\s?%"))


def test_a_refusal_is_explained_and_can_be_tried_again(page: Page, language: str, cherry: Path) -> None:
    answers(page, {"reason": "rate_limited"}, status=429)
    page.set_input_files("#file", cherry)
    expect(page.locator("#advice")).to_contain_text({"en": "Wait a minute", "fr": "Attendez une minute"}[language])
    page.unroute("**/predict")
    page.locator("#retry").click()
    expect(page.locator("#answers")).to_contain_text("Cherry 3")


def test_what_is_no_photo_is_not_sent(page: Page, language: str, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no photo")
    page.set_input_files("#file", text)
    expect(page.locator("#advice")).to_contain_text({"en": "not a photo", "fr": "pas une photo"}[language])


def test_the_language_can_be_changed_and_is_kept(page: Page, language: str, cherry: Path) -> None:
    other = "fr" if language == "en" else "en"
    page.set_input_files("#file", cherry)
    expect(page.locator("#answers")).to_contain_text("Cherry 3")
    page.locator(f"[data-language={other}]").click()
    expect(page.locator("#result-heading")).to_have_text({"en": "Cherry", "fr": "Cerise"}[other])
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", other)


def test_it_says_what_happens_with_the_photo(page: Page, language: str) -> None:
    expect(page.locator(".privacy")).to_contain_text({"en": "not kept", "fr": "pas conservée"}[language])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page: Page, cherry: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert axe_violations(page) == []
    page.set_input_files("#file", cherry)
    expect(page.locator("#answers")).to_contain_text("Cherry 3")
    assert axe_violations(page) == []
    answers(page, answer_of("not_sure"))
    page.set_input_files("#file", cherry)
    expect(page.locator("#answers")).to_contain_text("Apple 21")
    assert axe_violations(page) == []


def test_no_live_region_is_within_another(page: Page) -> None:
    live = ["[aria-live]", "[role=status]", "output"]
    nested = ", ".join(f"{outer} {inner}" for outer in live for inner in live)
    assert page.locator(nested).count() == 0


@pytest.mark.parametrize(("kind", "is_taken"), [("text", False), ("file", True)])
def test_only_files_can_be_dropped(page: Page, kind: str, is_taken: bool) -> None:
    found = page.evaluate(
        """(kind) => {
            const transfer = new DataTransfer();
            if (kind === "file") transfer.items.add(new File(["x"], "x.jpg"));
            else transfer.setData("text/plain", "a token");
            return ["dragover", "drop"].map((name) => {
                const event = new DragEvent(name, { dataTransfer: transfer, bubbles: true, cancelable: true });
                document.body.dispatchEvent(event);
                return event.defaultPrevented;
            });
        }""",
        kind,
    )
    assert found == [is_taken, is_taken]


def test_everything_can_be_reached_by_keyboard(page: Page) -> None:
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.dataset.language"))
    assert reached == ["en", "fr", "camera", "file"]


def test_nothing_is_wider_than_the_phone(page: Page, cherry: Path) -> None:
    answers(page, answer_of("not_sure"))
    page.set_input_files("#file", cherry)
    expect(page.locator("#answers")).to_contain_text("Apple 21")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_it_opens_without_a_network_and_says_so(page: Page, language: str, cherry: Path) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()  # from now on through the service worker
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("h1")).to_have_text({"en": "Which fruit is this?", "fr": "Quel est ce fruit ?"}[language])
    page.set_input_files("#file", cherry)
    expect(page.locator("#advice")).to_contain_text({"en": "no connection", "fr": "Aucune connexion"}[language])


def test_it_can_be_installed(service: Service) -> None:
    manifest = service.http.get(f"{service.url}/manifest.webmanifest").json()
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        assert service.http.get(f"{service.url}/{icon['src']}").is_success
