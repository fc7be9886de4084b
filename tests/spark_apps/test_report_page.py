"""The report in a real browser: offline, without errors, accessible, and with the right photo where one points."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from fruits.report_figures import data_uri
from fruits_contract.manifest import Finding
from tests.spark_apps.report_inputs import MadeReport, made

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# Where a photo of the map is on the screen.
PLACE = """(number) => {
  const view = [...Bokeh.index.roots].find((view) => view.model.name === "map");
  const data = view.model.document.get_model_by_name("photos").data;
  const box = view.el.getBoundingClientRect();
  const [x, y] = [view.frame.x_scale.compute(data.x[number]), view.frame.y_scale.compute(data.y[number])];
  return [box.x + x, box.y + y];
}"""
COLUMN = """(name) => {
  const view = [...Bokeh.index.roots].find((view) => view.model.name === "map");
  return Array.from(view.model.document.get_model_by_name("photos").data[name]);
}"""


@pytest.fixture(scope="module")
def report() -> MadeReport:
    row = {"path": "raw/first/Apple/<b>.jpg", "reason": "empty", "detail": "0 bytes"}
    return made(rejects=1, shown=[row], findings=(Finding("drift", "warning", "refit"),))


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    """A function that opens a report; it may request nothing, and log neither error nor warning."""
    contexts, requested, logged = [], [], []

    def open_text(text: str, scheme: str = "light") -> Page:
        file = tmp_path / "index.html"
        file.write_text(text)
        context = browser.new_context(viewport={"width": 1100, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        contexts.append(context)
        opened = context.new_page()
        opened.on("request", lambda request: requested.append(request.url))
        opened.on("pageerror", lambda error: logged.append(str(error)))
        opened.on("console", lambda message: logged.append(message.text) if message.type in ("error", "warning") else None)
        opened.goto(file.as_uri())
        opened.locator("html[data-ready]").wait_for()
        return opened

    yield open_text
    assert [url for url in requested if not url.startswith(("data:", tmp_path.as_uri()))] == []
    assert logged == []
    for context in contexts:
        context.close()


def loneliest(report: MadeReport) -> int:
    """Return the photo that is farthest from all others on the PCA map."""
    places = report.photos.pca
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    return int(distances.min(axis=1).argmax())


def test_pointing_at_a_photo_shows_it(open_page: Any, report: MadeReport) -> None:
    page = open_page(report.text)
    number = loneliest(report)
    page.locator("#map").scroll_into_view_if_needed()
    page.mouse.move(*page.evaluate(PLACE, number), steps=3)
    path = report.photos.paths[number]
    expect(page.get_by_text(path, exact=True)).to_be_visible()
    picture = page.locator("img[width='64']:visible")
    expect(picture).to_have_count(1)
    assert picture.get_attribute("src") == data_uri(report.photos.thumbnails[path])
    assert picture.evaluate("(image) => image.naturalWidth") == 48


def test_a_click_shows_the_neighbours(open_page: Any, report: MadeReport) -> None:
    page = open_page(report.text)
    number = loneliest(report)
    page.locator("#map").scroll_into_view_if_needed()
    page.mouse.click(*page.evaluate(PLACE, number))
    shown = page.locator("#neighbours li")
    expected = [number, *report.photos.neighbours[number]]
    expect(shown.first).to_have_attribute("data-path", report.photos.paths[number])
    assert shown.evaluate_all("(items) => items.map((item) => item.dataset.path)") == [
        report.photos.paths[index] for index in expected
    ]


def test_a_photo_can_be_chosen_by_keyboard(open_page: Any, report: MadeReport) -> None:
    page = open_page(report.text)
    page.locator("#photo").focus()
    page.keyboard.press("ArrowDown")
    number = int(page.locator("#photo").input_value())
    path = report.photos.paths[number]
    expect(page.locator("#chosen-name")).to_contain_text(path)
    picture = page.locator("#neighbours img").first
    expect(picture).to_have_attribute("src", data_uri(report.photos.thumbnails[path]))


def test_a_search_highlights_the_variety(open_page: Any, report: MadeReport) -> None:
    page = open_page(report.text)
    page.locator("#search").fill("ap")
    expect(page.locator("#found")).to_have_text("60 photos of 2 varieties highlighted")
    page.locator("#search").fill("apri")
    expect(page.locator("#found")).to_have_text("30 photos of 1 variety highlighted")
    alphas = page.evaluate(COLUMN, "alpha")
    assert [alpha > 0.5 for alpha in alphas] == [label == "Apricot" for label in report.photos.labels]
    expect(page.locator("#varieties tbody tr:visible")).to_have_count(1)
    page.locator("#search").fill("first")  # in all paths, and in no name
    expect(page.locator("#found")).to_have_text("0 photos of 0 varieties highlighted")
    page.locator("#search").fill("")
    expect(page.locator("#found")).to_be_empty()
    assert min(page.evaluate(COLUMN, "alpha")) > 0.5


def test_the_map_can_be_switched(open_page: Any, report: MadeReport) -> None:
    page = open_page(report.text)
    assert np.allclose(page.evaluate(COLUMN, "x"), report.photos.pca[:, 0])
    page.get_by_label("t-SNE").check()
    assert report.photos.tsne is not None
    assert np.allclose(page.evaluate(COLUMN, "y"), report.photos.tsne[:, 1], atol=1e-2)
    page.get_by_label("PCA", exact=True).check()
    assert np.allclose(page.evaluate(COLUMN, "x"), report.photos.pca[:, 0], atol=1e-3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(open_page: Any, report: MadeReport, scheme: str) -> None:
    page = open_page(report.text, scheme)
    page.get_by_text("The same as a table").click()
    page.locator("#search").fill("apri")
    violations = Axe().run(page).response["violations"]
    assert [f"{item['id']}: {item['help']}" for item in violations] == []


def test_the_figures_follow_the_colors_of_the_page(open_page: Any, report: MadeReport) -> None:
    page = open_page(report.text)
    is_painted = """(color) => [...Bokeh.index.roots].map((view) => view.model).filter((model) => model.below)
      .every((plot) => plot.below[0].major_label_text_color === color)"""
    page.wait_for_function(is_painted, arg="#1d2520")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(is_painted, arg="#e6ebe6")


@pytest.mark.parametrize("varieties", [{}, {"Apple": 1}, {"Apple": 5}], ids=["none", "one photo", "few"])
def test_a_page_of_few_photos_without_pictures_works(open_page: Any, varieties: dict[str, int]) -> None:
    page = open_page(made(varieties=varieties, with_pictures=False).text)
    expect(page.locator("#neighbours li")).to_have_count(sum(varieties.values()))
    expect(page.get_by_label("t-SNE")).to_be_disabled()
