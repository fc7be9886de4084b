"""The checks find what is wrong, and nothing where nothing is."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from fruits import checks
from fruits.row_counts import RowCounts, count_batch
from fruits.saved_pca import PcaCard
from fruits_contract import columns, layout
from fruits_contract.manifest import Finding, Manifest

GOOD = [0.0, *[1.0] * 1279]
VECTORS = columns.arrow_schema({"path": "string", "vector": "array<float>"})


def card(*, k: int = 3, explained: float = 0.71, requested_variance: float = 0.7, requested_components: int = 0) -> PcaCard:
    return PcaCard("p1", "e" * 64, k, explained, 100, requested_variance, requested_components, "2026-11-22T03:00:00+00:00")


def assert_red(findings: list[Finding], check: str, message: str) -> None:
    assert [(finding.check, finding.severity) for finding in findings] == [(check, "red")]
    assert findings[0].message == message


def labels(*names: str) -> RowCounts:
    return RowCounts(len(names), Counter(names))


def rows(name: str, *pairs: tuple[str, Any]) -> pa.RecordBatch:
    """Return rows of a path and a vector called `name`."""
    batch = pa.RecordBatch.from_pylist([{"path": path, "vector": vector} for path, vector in pairs], schema=VECTORS)
    return batch.rename_columns(["path", name])


def features(*pairs: tuple[str, Any]) -> RowCounts:
    batch = rows("features", *pairs)
    return count_batch(batch, checks.feature_faults(batch))


def projected(*vectors: Any) -> RowCounts:
    batch = rows("projected", *((str(number), vector) for number, vector in enumerate(vectors)))
    return count_batch(batch, checks.projection_faults(batch, k=2))


def test_contributed_photos_are_counted_and_not_named() -> None:
    contributed = layout.contributed_image("first", "Apple", "20261122-" + "0" * 32)
    nan = [float("nan")] * 1280
    named = checks.check_features(features(*[(contributed, nan)] * 5, ("raw/first/Apple/0.jpg", nan)))
    assert named[0].message.startswith("6 ") and named[0].message.endswith(": raw/first/Apple/0.jpg")
    (finding,) = checks.check_features(features((contributed, nan)))
    assert finding.message.endswith(": contributed photos, which are not named")


class TestCounts:
    def test_hold(self) -> None:
        assert checks.check_counts(labels("Apple", "Apple", ""), labels("Apple", ""), labels("Apple")) == []

    def test_off_for_one_variety(self) -> None:
        findings = checks.check_counts(labels("Apple", "Apple", "Cherry"), labels("Apple", "Cherry"), labels())
        assert_red(findings, "counts", "1 varieties have a wrong count: Apple: 2 photos, 1 features + 0 rejects")

    def test_right_in_total_only(self) -> None:
        findings = checks.check_counts(labels("Apple", ""), labels("Apple", "Apple"), labels())
        message = (
            "2 varieties have a wrong count: (no variety): 1 photos, 0 features + 0 rejects; "
            "Apple: 1 photos, 2 features + 0 rejects"
        )
        assert_red(findings, "counts", message)

    def test_photos_that_are_not_in_the_batch(self) -> None:
        findings = checks.check_counts(labels(), labels("Plum"), labels())
        assert_red(findings, "counts", "1 varieties have a wrong count: Plum: 0 photos, 1 features + 0 rejects")

    def test_more_than_five_varieties_are_counted(self) -> None:
        (finding,) = checks.check_counts(labels(*"abcdefg"), labels(), labels())
        assert finding.message.endswith("; e: 1 photos, 0 features + 0 rejects; and 2 more")


class TestFeatures:
    def test_hold(self) -> None:
        assert checks.check_features(features(("a", GOOD), ("b", GOOD))) == []

    def test_none_at_all_hold(self) -> None:
        assert checks.check_features(features()) == checks.check_features(RowCounts()) == []

    @pytest.mark.parametrize(
        ("vector", "check", "text"),
        [
            ([float("nan"), *GOOD[1:]], "finite", "vectors with NaN or an infinite value"),
            ([*GOOD[1:], float("inf")], "finite", "vectors with NaN or an infinite value"),
            ([*GOOD[1:], float("-inf")], "finite", "vectors with NaN or an infinite value"),
            ([*GOOD[1:], None], "finite", "vectors with NaN or an infinite value"),
            ([0.0] * 1280, "all_zero", "vectors of zeros only"),
            (GOOD[1:], "dimension", "vectors whose length is not 1280"),
            ([*GOOD, 1.0], "dimension", "vectors whose length is not 1280"),
        ],
        ids=["nan", "inf", "minus-inf", "missing", "zeros", "short", "long"],
    )
    def test_one_bad_vector_among_good_ones(self, vector: list[float], check: str, text: str) -> None:
        assert_red(checks.check_features(features(("a", GOOD), ("bad", vector), ("c", GOOD))), check, f"1 {text}: bad")

    @pytest.mark.parametrize("vector", [[], None])
    def test_an_empty_and_a_missing_vector_are_of_the_wrong_dimension(self, vector: Any) -> None:
        findings = checks.check_features(features(("a", GOOD), ("bad", vector), ("c", GOOD)))
        assert findings[0] == Finding("dimension", "red", "1 vectors whose length is not 1280: bad")

    def test_five_examples_are_named(self) -> None:
        (finding,) = checks.check_features(features(*((f"p{number}", [0.0] * 1280) for number in range(7))))
        assert finding.message == "7 vectors of zeros only: p0; p1; p2; p3; p4"


def test_no_duplicates_hold() -> None:
    assert checks.check_duplicates(0, []) == []


def test_duplicates_are_red() -> None:
    assert_red(checks.check_duplicates(7, list("abcde")), "duplicates", "7 paths occur more than once: a; b; c; d; e")


class TestProjected:
    def test_hold(self) -> None:
        assert checks.check_projected(projected([1.0, 2.0], [0.0, 0.0]), expected=2, k=2) == []

    def test_a_missing_row(self) -> None:
        assert_red(checks.check_projected(projected([1.0, 2.0]), expected=2, k=2), "projected", "1 projections of 2 features")

    @pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, 3.0], [1.0, float("nan")], [float("inf"), 1.0], None])
    def test_a_row_of_something_else(self, vector: list[float] | None) -> None:
        findings = checks.check_projected(projected(vector, [1.0, 2.0]), expected=2, k=2)
        assert_red(findings, "projected", "1 projections are not 2 finite numbers")


def test_no_rejects_need_no_finding() -> None:
    assert checks.check_reject_ratio(0, 100, max_ratio=0.05, reasons={}) == []
    assert checks.check_reject_ratio(0, 0, max_ratio=0.05, reasons={}) == []


def test_rejects_within_the_ratio_are_reported() -> None:
    (finding,) = checks.check_reject_ratio(5, 100, max_ratio=0.05, reasons={"empty": 3, "truncated": 2})
    expected = Finding("reject_ratio", "info", "5 of 100 photos rejected (5.0%; 3 empty, 2 truncated)")
    assert finding == expected


def test_rejects_over_the_ratio_are_red() -> None:
    findings = checks.check_reject_ratio(6, 100, max_ratio=0.05, reasons={"empty": 6})
    assert_red(findings, "reject_ratio", "6 of 100 photos rejected (6.0%; 6 empty); max_reject_ratio is 5.0%")


def test_a_pca_that_reaches_the_variance_holds() -> None:
    assert checks.check_variance(card(explained=0.7)) == []
    assert checks.check_variance(card(explained=0.2, requested_components=3)) == []


def test_a_pca_that_does_not_reach_the_variance_is_red() -> None:
    findings = checks.check_variance(card(explained=0.6875))
    assert_red(findings, "variance", "3 components explain 0.6875; 0.7 was requested")


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
