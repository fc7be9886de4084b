"""report leaves a page that opens offline, its figures, and a table for a spreadsheet."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.manifold import trustworthiness

from fruits.report import verdict_of
from fruits.saved_pca import PcaCard
from fruits_contract import layout, report_cost
from fruits_contract.features_pipeline import FEATURIZE, REPORT
from fruits_contract.manifest import Finding
from tests.spark_apps.conftest import PLAN, Run
from tests.spark_apps.report_inputs import made


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
    assert references.found == []
    assert not {"link", "iframe", "object"} & set(references.tags)
    assert "Content-Security-Policy\" content=\"default-src 'none'" in text


@pytest.fixture
def text(run: Run) -> str:
    return run.read(layout.report_page("r1")).decode()


@pytest.mark.slow
@pytest.mark.spark4
def test_the_page_opens_offline(text: str) -> None:
    assert_opens_offline(text)


@pytest.fixture
def figures(run: Run) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(run.read(layout.report_data("r1")))
    return data


@pytest.fixture
def projected(run: Run) -> dict[str, np.ndarray]:
    """The projections in the table, by path."""
    rows = run.table(layout.projected_part("r1", "small", "r1")).to_pylist()
    return {row["path"]: np.array(row["projected"]) for row in rows}


@pytest.mark.slow
@pytest.mark.spark4
def test_the_map_is_that_of_the_table(figures: dict[str, Any], projected: dict[str, np.ndarray]) -> None:
    photos = figures["map"]
    assert sorted(photos["paths"]) == sorted(projected), "so few photos are all on the map"
    assert photos["labels"] == [layout.variety_of(path) for path in photos["paths"]]
    vectors = np.array([projected[path] for path in photos["paths"]])
    assert np.allclose(photos["pca"], vectors[:, :2], atol=1e-4)
    trust = trustworthiness(vectors, np.array(photos["tsne"]), n_neighbors=8)
    shuffled = np.random.default_rng(0).permutation(photos["tsne"])
    assert trust > 0.9 > 0.7 > trustworthiness(vectors, shuffled, n_neighbors=8)
    assert photos["trustworthiness"]["tsne"] == pytest.approx(trust, abs=1e-3)


@pytest.mark.slow
@pytest.mark.spark4
def test_neighbours_are_the_nearest_of_the_table(figures: dict[str, Any], projected: dict[str, np.ndarray]) -> None:
    photos = figures["map"]
    vectors = np.array([projected[path] for path in photos["paths"]])
    for number, neighbours in enumerate(photos["neighbours"]):
        distances = np.linalg.norm(vectors - vectors[number], axis=1)
        assert len(set(neighbours) - {number}) == 8
        found = distances[neighbours]
        assert all(near <= far + 1e-5 for near, far in pairwise(found))
        assert np.allclose(found, np.sort(np.delete(distances, number))[:8], atol=1e-4)


@pytest.mark.slow
@pytest.mark.spark4
def test_the_clusters_figures_are_those_of_another_library(run: Run, figures: dict[str, Any]) -> None:
    clusters, varieties = figures["clusters"], [variety["name"] for variety in figures["varieties"]]
    counts = np.array(clusters["counts"])
    assert counts.shape == (3, clusters["count"]) == (3, 3)
    table = run.table(layout.projected_part("r1", "small", "r1"))
    labels = table["label"].to_pylist()
    assert counts.sum(axis=1).tolist() == [labels.count(variety) for variety in varieties]
    truth = np.repeat(np.arange(3), counts.sum(axis=1))
    answer = np.concatenate([np.repeat(np.arange(3), row) for row in counts])
    assert clusters["adjusted_rand_index"] == pytest.approx(metrics.adjusted_rand_score(truth, answer))
    assert clusters["normalized_mutual_information"] == pytest.approx(metrics.normalized_mutual_info_score(truth, answer))
    matrix = metrics.cluster.contingency_matrix(truth, answer)
    assert clusters["purity"] == pytest.approx(matrix.max(axis=0).sum() / matrix.sum())


@pytest.mark.slow
@pytest.mark.spark4
def test_photos_that_can_be_read_have_thumbnails(run: Run, text: str) -> None:
    assert run.manifest(REPORT).figures["thumbnails"] == run.readable
    assert len(set(re.findall(r"data:image/webp;base64,[A-Za-z0-9+/=]+", text))) > run.readable / 2


@pytest.mark.slow
@pytest.mark.spark4
def test_the_cost_of_the_plan_and_the_run_before_are_shown(run: Run, figures: dict[str, Any], text: str) -> None:
    assert figures["cost"] == PLAN.__dict__
    assert "0.11 USD with Spot task nodes" in text
    assert (figures["drift"]["run"], figures["drift"]["shifts"]) == ("r0", [])
    assert {"name": "photos", "before": 50, "now": run.photos, "is_share": False} in figures["drift"]["changes"]
    assert "of drop earlier" in text


@pytest.mark.slow
@pytest.mark.spark4
def test_memory_of_each_stage_is_reported(run: Run, figures: dict[str, Any]) -> None:
    assert all(20 < row["driver_memory_mb"] < 4000 for row in figures["stages"])
    featurize = run.manifest(FEATURIZE).figures
    assert featurize["driver_memory_mb"] == figures["stages"][0]["driver_memory_mb"]
    # The workers hold the network; they are measured together with the driver's Python.
    assert featurize["driver_memory_mb"] < figures["stages"][0]["workers_memory_mb"] == featurize["workers_memory_mb"] < 8000


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
def test_the_figures_are_those_of_the_stages(run: Run, figures: dict[str, Any]) -> None:
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


def test_a_page_without_rejects_or_findings_says_so() -> None:
    text = made().text
    assert_opens_offline(text)
    assert "None: every photo could be read." in text
    assert "Green: every check holds." in text
    assert "There is none to compare with." in text


def test_a_red_finding_is_at_the_top() -> None:
    text = made(findings=(Finding("counts", "red", "1 < 2"), Finding("drift", "warning", "refit"))).text
    assert "Red: 1 finding; not published." in text
    assert "1 &lt; 2" in text
    assert text.index("Red: 1 finding") < text.index("<h2>")
    assert "Red: 2 findings" in made(findings=(Finding("counts", "red", "x"), Finding("projected", "red", "y"))).text


def test_the_verdict_counts_warnings() -> None:
    assert verdict_of(["warning", "info"]).startswith("Green with 1 warning:")


def test_more_rejects_than_are_shown_are_counted() -> None:
    row = {"path": "raw/first/a/1.jpg", "reason": "empty", "detail": "0 bytes"}
    assert "The first 1 of 3." in made(rejects=3, shown=[row]).text


def test_there_is_a_place_for_the_actual_cost() -> None:
    assert "0.31 USD" in report_cost.with_actual(made().text, "0.31 USD")


def test_the_cost_is_an_estimate_where_the_plan_has_one() -> None:
    assert "0.11 USD with Spot task nodes" in made().text
    assert "the run was planned without an expected cost" in made(plan=None).text


@pytest.mark.parametrize(
    "varieties", [{}, {"Apple": 1}, {"Apple": 30}, {"Apple": 3, "": 2}], ids=["none", "one photo", "one variety", "few"]
)
def test_few_photos_make_a_page(varieties: dict[str, int]) -> None:
    report = made(varieties=varieties, with_pictures=False)
    assert_opens_offline(report.text)
    count = sum(varieties.values())
    assert len(report.figures["map"]["neighbours"]) == count
    assert all(len(near) == min(8, count - 1) for near in report.figures["map"]["neighbours"])
    assert report.figures["clusters"]["count"] == len(varieties)


def test_a_run_of_contributed_photos_makes_a_page_that_shows_none_of_them() -> None:
    report = made(is_contributed=True, with_pictures=False)
    assert_opens_offline(report.text)
    assert "contributed-" not in report.text and "contributed-" not in json.dumps(report.figures)
    assert [variety["photos"] for variety in report.figures["varieties"]] == [30, 30, 30]


def test_names_of_photos_are_no_html() -> None:
    text = made().text
    assert "b & <c>" not in text and "b &amp; &lt;c&gt;" in text


def test_figures_are_json() -> None:
    report = made()
    assert json.loads(json.dumps(report.figures)) == report.figures
    assert PcaCard(**report.figures["pca"]).k == 4
