"""A run is compared with the previous run, also with the report of an earlier release."""

from typing import Any

import pytest

from fruits.drift import changes_since
from fruits.report_page import page
from tests.spark_apps.report_inputs import made


def figures(*, run: str = "r2", pca: str = "p1", images: int = 100, rejects: int = 5, mean: float = 0.0) -> dict[str, Any]:
    varieties = [{"name": "Apple", "mean": [mean, 0.0], "spread": 2.0}, {"name": run, "mean": [9.0, 9.0], "spread": 1.0}]
    return {
        "run": run,
        "drop": "first",
        "images": images,
        "rejects": rejects,
        "pca": {"model_id": pca, "k": 2},
        "explained_variance_of_this_run": 0.7,
        "varieties": varieties,
    }


def test_changes_and_shifts() -> None:
    drift = changes_since(figures(run="r1", images=50, rejects=0), figures(mean=3.0))
    assert (drift["run"], drift["drop"]) == ("r1", "first")
    assert drift["changes"][0] == {"name": "photos", "before": 50, "now": 100, "is_share": False}
    assert drift["changes"][1] == {"name": "rejects, share", "before": 0, "now": pytest.approx(0.05), "is_share": True}
    assert drift["shifts"] == [{"variety": "Apple", "shift": 1.5}]


def test_means_of_two_pcas_are_not_compared() -> None:
    assert changes_since(figures(pca="p0"), figures(mean=3.0))["shifts"] == []


def test_a_report_of_an_earlier_release_has_no_varieties() -> None:
    before = figures(run="r1")
    del before["varieties"]
    assert changes_since(before, figures())["shifts"] == []


def test_a_run_without_photos_has_no_share_of_rejects() -> None:
    assert changes_since(figures(images=0, rejects=0), figures())["changes"][1]["before"] is None


def test_the_page_shows_shares_as_percentages_and_counts_as_numbers() -> None:
    report = made()
    drift = changes_since(figures(images=5000), figures())
    text = page({**report.figures, "drift": drift}, report.photos)
    assert '<td>photos</td><td class="number">5,000</td><td class="number">100</td>' in text
    assert '<td>rejects, share</td><td class="number">0.1%</td><td class="number">5.0%</td>' in text
    assert '<td>variance explained</td><td class="number">70.0%</td><td class="number">70.0%</td>' in text
