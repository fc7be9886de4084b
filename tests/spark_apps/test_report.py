"""report leaves a page that opens offline, its figures, and a table for a spreadsheet."""

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fruits.pca import Moments, fit
from fruits.report import MapPoints, figures_of, page
from fruits.saved_pca import PcaCard
from fruits_contract import layout
from fruits_contract.features_pipeline import REPORT
from fruits_contract.manifest import Finding, Manifest
from tests.spark_apps.conftest import Run


class References(HTMLParser):
    """Collects what a page would load or link to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def assert_opens_offline(text: str) -> None:
    references = References(text)
    assert references.found, "the page has pictures"
    assert all(reference.startswith(("data:image/", "#")) for reference in references.found)
    assert not re.search(r"url\(|@import", text)
    assert not {"script", "link", "iframe"} & set(references.tags)


@pytest.fixture
def text(run: Run) -> str:
    return run.read(layout.report_page("r1")).decode()


@pytest.mark.slow
@pytest.mark.spark4
def test_the_page_opens_offline(text: str) -> None:
    assert_opens_offline(text)


@pytest.mark.slow
@pytest.mark.spark4
def test_the_page_holds_the_scree_plot_and_the_map(text: str) -> None:
    pictures = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)"', text)
    assert [alt for alt, _ in pictures] == ["Scree plot with k marked", "Map of the photos on the first two components"]
    for _, content in pictures:
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert min(picture.size) > 400
            assert np.asarray(picture.convert("L")).std() > 5, "an empty picture"


@pytest.mark.slow
@pytest.mark.spark4
def test_the_page_names_every_reject_and_its_reason(run: Run, text: str) -> None:
    for path, reason in run.broken.items():
        assert path.replace("<", "&lt;").replace(">", "&gt;") in text
        assert reason in text
    assert "<b>.jpg" not in text, "a photo's name is shown and not run"
    assert "Green: every check holds." in text


@pytest.mark.slow
@pytest.mark.spark4
def test_the_figures_are_those_of_the_stages(run: Run) -> None:
    figures = json.loads(run.read(layout.report_data("r1")))
    assert (figures["images"], figures["features"], figures["rejects"]) == (
        run.photos,
        run.readable,
        len(run.broken),
    )
    assert figures["projected"] == run.readable
    assert figures["pca"] == run.card
    assert [row["stage"] for row in figures["stages"]] == ["featurize", "fit_pca", "transform_pca", "validate"]
    assert figures["digests"]["extractor"] == run.params.extractor


@pytest.mark.slow
@pytest.mark.spark4
def test_the_csv_has_a_row_for_every_photo_that_is_no_reject(run: Run) -> None:
    header, *rows = csv.reader(io.StringIO(run.read(layout.final_features("r1")).decode()))
    assert header == ["path", "label", *(f"pca_{number}" for number in range(1, run.card["k"] + 1))]
    assert len(rows) + len(run.broken) == run.photos
    assert run.manifest(REPORT).rows_out == len(rows)
    projected = {row["path"]: row for row in run.table(layout.projected_part("r1", "small", "r1")).to_pylist()}
    assert {row[0] for row in rows} == set(projected)
    for path, label, *numbers in rows:
        assert label == projected[path]["label"]
        assert [np.float32(number) for number in numbers] == [np.float32(value) for value in projected[path]["projected"]]


def made(*, rejects: int = 0, findings: tuple[Finding, ...] = (), shown: list[dict[str, str]] | None = None) -> str:
    """A page of made-up figures."""
    pca = fit(Moments.of(np.random.default_rng(0).normal(size=(30, 6))), components=2)
    started = "2026-11-22T03:00:00+00:00"
    reasons = {"empty": rejects} if rejects else {}
    manifests = [
        Manifest(
            "featurize",
            "r1",
            started,
            2.0,
            rows_in=10,
            rows_out=10 - rejects,
            rows_rejected=rejects,
            figures={"reasons": reasons},
        ),
        Manifest("transform_pca", "r1", started, 0.0, rows_out=10 - rejects, figures={"explained_variance": None}),
        Manifest("validate", "r1", started, 1.0, findings=findings),
    ]
    card = PcaCard("p1", "e" * 64, 2, pca.explained, 30, 0.7, 2, started)
    figures = figures_of(manifests, card, drop="first", mode="transform", release="v1")
    points = MapPoints(np.zeros((4, 2)), ["a", "a", "b & c", ""], 4)
    return page(figures, pca=pca, points=points, rejects=shown or [])


def test_a_page_without_rejects_or_findings_says_so() -> None:
    text = made()
    assert_opens_offline(text)
    assert "None: every photo could be read." in text
    assert "Green: every check holds." in text


def test_a_red_finding_is_at_the_top() -> None:
    text = made(findings=(Finding("counts", "red", "1 < 2"), Finding("drift", "warning", "refit")))
    assert "Red: 1 finding; not published." in text
    assert "1 &lt; 2" in text
    assert text.index("Red: 1 finding") < text.index("<h2>")
    assert "Red: 2 findings" in made(findings=(Finding("counts", "red", "x"), Finding("projected", "red", "y")))


def test_more_rejects_than_are_shown_are_counted() -> None:
    row = {"path": "raw/first/a/1.jpg", "reason": "empty", "detail": "0 bytes"}
    assert "The first 1 of 3." in made(rejects=3, shown=[row])


def test_a_page_without_any_point_can_be_drawn() -> None:
    pca = fit(Moments.of(np.random.default_rng(0).normal(size=(30, 6))), components=1)
    text = made()
    assert len(text) > 10_000
    from fruits.report import _map, _scree

    assert _scree(pca).startswith("data:image/png;base64,")
    assert _map(MapPoints(np.empty((0, 2)), [], 0)).startswith("data:image/png;base64,")
