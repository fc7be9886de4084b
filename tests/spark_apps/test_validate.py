"""validate finds what is wrong, and nothing where nothing is."""

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from fruits import checks
from fruits.saved_pca import PcaCard
from fruits_contract.columns import ddl
from fruits_contract.features_pipeline import VALIDATE
from fruits_contract.manifest import Finding, Manifest
from tests.spark_apps.conftest import Run

KINDS = {"path": "string", "label": "string", "features": "array<float>", "projected": "array<float>"}
GOOD = [0.0, *[1.0] * 1279]

Frame = Callable[..., DataFrame]


def card(*, k: int = 3, explained: float = 0.71, asked_variance: float = 0.7, asked_components: int = 0) -> PcaCard:
    return PcaCard("p1", "e" * 64, k, explained, 100, asked_variance, asked_components, "2026-11-22T03:00:00+00:00")


@pytest.fixture
def frame(spark: SparkSession) -> Frame:
    """Make a DataFrame: column names, then rows."""

    def make(names: str, *rows: tuple[Any, ...]) -> DataFrame:
        return spark.createDataFrame(list(rows), ddl({name: KINDS[name] for name in names.split()}))

    return make


def assert_red(findings: list[Finding], check: str, message: str) -> None:
    assert [(finding.check, finding.severity) for finding in findings] == [(check, "red")]
    assert findings[0].message == message


@pytest.mark.slow
@pytest.mark.spark4
def test_a_good_run_has_no_red_finding(run: Run) -> None:
    manifest = run.manifest(VALIDATE)
    assert manifest.red == ()
    (finding,) = manifest.findings
    assert (finding.check, finding.severity) == ("reject_ratio", "info")
    assert finding.message.startswith(f"3 of {run.photos} photos rejected (4.8%; ")


@pytest.mark.slow
@pytest.mark.spark4
def test_the_manifest_repeats_the_counts(run: Run) -> None:
    manifest = run.manifest(VALIDATE)
    assert (manifest.rows_in, manifest.rows_out, manifest.rows_rejected) == (run.photos, run.photos - 3, 3)
    assert manifest.digests == {"pca": "r1", "extractor": run.params.extractor}


@pytest.mark.slow
@pytest.mark.spark4
class TestCounts:
    def test_hold(self, frame: Frame) -> None:
        batch = frame("label", ("Apple",), ("Apple",), ("",))
        assert checks.check_counts(batch, frame("label", ("Apple",), ("",)), frame("label", ("Apple",))) == []

    def test_off_for_one_variety(self, frame: Frame) -> None:
        batch = frame("label", ("Apple",), ("Apple",), ("Cherry",))
        findings = checks.check_counts(batch, frame("label", ("Apple",), ("Cherry",)), frame("label"))
        assert_red(findings, "counts", "1 varieties do not add up: Apple: 2 photos, 1 features + 0 rejects")

    def test_right_in_total_only(self, frame: Frame) -> None:
        batch = frame("label", ("Apple",), ("",))
        findings = checks.check_counts(batch, frame("label", ("Apple",), ("Apple",)), frame("label"))
        message = (
            "2 varieties do not add up: (no variety): 1 photos, 0 features + 0 rejects; Apple: 1 photos, 2 features + 0 rejects"
        )
        assert_red(findings, "counts", message)

    def test_photos_that_nobody_asked_for(self, frame: Frame) -> None:
        findings = checks.check_counts(frame("label"), frame("label", ("Plum",)), frame("label"))
        assert_red(findings, "counts", "1 varieties do not add up: Plum: 0 photos, 1 features + 0 rejects")


@pytest.mark.slow
@pytest.mark.spark4
class TestFeatures:
    def test_hold(self, frame: Frame) -> None:
        assert checks.check_features(frame("path features", ("a", GOOD), ("b", GOOD))) == []

    def test_none_at_all_hold(self, frame: Frame) -> None:
        assert checks.check_features(frame("path features")) == []

    @pytest.mark.parametrize(
        ("vector", "check", "text"),
        [
            ([float("nan"), *GOOD[1:]], "finite", "vectors with NaN or an infinite value"),
            ([*GOOD[1:], float("inf")], "finite", "vectors with NaN or an infinite value"),
            ([*GOOD[1:], float("-inf")], "finite", "vectors with NaN or an infinite value"),
            ([0.0] * 1280, "all_zero", "vectors of zeros only"),
            (GOOD[1:], "dimension", "vectors without 1280 numbers"),
            ([*GOOD, 1.0], "dimension", "vectors without 1280 numbers"),
        ],
        ids=["nan", "inf", "minus-inf", "zeros", "short", "long"],
    )
    def test_one_bad_vector_among_good_ones(self, frame: Frame, vector: list[float], check: str, text: str) -> None:
        findings = checks.check_features(frame("path features", ("a", GOOD), ("bad", vector), ("c", GOOD)))
        assert_red(findings, check, f"1 {text}: bad")

    def test_an_empty_and_a_missing_vector_are_of_the_wrong_dimension(self, frame: Frame) -> None:
        for vector in ([], None):
            findings = checks.check_features(frame("path features", ("bad", vector)))
            assert "dimension" in {finding.check for finding in findings if finding.severity == "red"}

    def test_five_examples_are_named(self, frame: Frame) -> None:
        rows = [(f"p{number}", [0.0] * 1280) for number in range(7)]
        assert checks.check_features(frame("path features", *rows))[0].message.count("; ") == 4


@pytest.mark.slow
@pytest.mark.spark4
class TestDuplicates:
    def test_hold(self, frame: Frame) -> None:
        assert checks.check_duplicates(frame("path", ("a",), ("b",)), frame("path", ("c",))) == []

    def test_a_path_twice_in_features(self, frame: Frame) -> None:
        findings = checks.check_duplicates(frame("path", ("a",), ("a",), ("b",)), frame("path"))
        assert_red(findings, "duplicates", "1 paths occur more than once: a")

    def test_a_path_in_features_and_in_rejects(self, frame: Frame) -> None:
        findings = checks.check_duplicates(frame("path", ("a",), ("b",)), frame("path", ("b",)))
        assert_red(findings, "duplicates", "1 paths occur more than once: b")


@pytest.mark.slow
@pytest.mark.spark4
class TestProjected:
    def test_hold(self, frame: Frame) -> None:
        assert checks.check_projected(frame("projected", ([1.0, 2.0],), ([0.0, 0.0],)), expected=2, k=2) == []

    def test_a_missing_row(self, frame: Frame) -> None:
        findings = checks.check_projected(frame("projected", ([1.0, 2.0],)), expected=2, k=2)
        assert_red(findings, "projected", "1 projections of 2 features")

    @pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, 3.0], [1.0, float("nan")], [float("inf"), 1.0], None])
    def test_a_row_of_something_else(self, frame: Frame, vector: list[float] | None) -> None:
        findings = checks.check_projected(frame("projected", (vector,), ([1.0, 2.0],)), expected=2, k=2)
        assert_red(findings, "projected", "1 projections are not 2 finite numbers")


def test_no_rejects_need_no_finding() -> None:
    assert checks.check_reject_ratio(0, 100, max_ratio=0.05, reasons={}) == []
    assert checks.check_reject_ratio(0, 0, max_ratio=0.05, reasons={}) == []


def test_rejects_within_the_ratio_are_told() -> None:
    (finding,) = checks.check_reject_ratio(5, 100, max_ratio=0.05, reasons={"empty": 3, "truncated": 2})
    expected = Finding("reject_ratio", "info", "5 of 100 photos rejected (5.0%; 3 empty, 2 truncated)")
    assert finding == expected


def test_rejects_over_the_ratio_are_red() -> None:
    findings = checks.check_reject_ratio(6, 100, max_ratio=0.05, reasons={"empty": 6})
    assert_red(findings, "reject_ratio", "6 of 100 photos rejected (6.0%; 6 empty); max_reject_ratio is 5.0%")


def test_a_pca_that_reaches_the_variance_holds() -> None:
    assert checks.check_variance(card(explained=0.7)) == []
    assert checks.check_variance(card(explained=0.2, asked_components=3)) == []


def test_a_pca_that_does_not_reach_the_variance_is_red() -> None:
    findings = checks.check_variance(card(explained=0.6875))
    assert_red(findings, "variance", "3 components explain 0.6875; 0.7 was asked for")


def drift(explained: float | None) -> list[Finding]:
    figures = {"k": 3, "explained_variance": explained}
    return checks.check_drift(Manifest("transform_pca", "r1", "", 1.0, figures=figures), card(explained=0.71))


@pytest.mark.parametrize("explained", [0.9, 0.71, 0.661, None])
def test_photos_like_those_of_the_fit_do_not_drift(explained: float | None) -> None:
    assert drift(explained) == []


def test_drift_recommends_a_refit_and_does_not_stop_the_run() -> None:
    (finding,) = drift(0.55)
    assert (finding.check, finding.severity) == ("drift", "warning")
    assert finding.message == (
        "the PCA keeps 55.0% of the variance of these photos, 71.0% of those it was fitted on: "
        "refit recommended (trigger a run with mode=fit)"
    )
