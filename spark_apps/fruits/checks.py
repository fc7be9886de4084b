"""What must hold before a run is published: each check returns findings, none means it holds.

It must not know storage; DataFrames, manifests and cards in, findings out.
"""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from fruits.engines import FEATURE_COUNT
from fruits.saved_pca import PcaCard
from fruits_contract.manifest import Finding, Manifest

# Share of the variance. On Fruits-360 (540 photos) other species lose 0.30 to 0.56; but the other half of the same photos loses
# 0.05 to 0.06, too, so a PCA that was fitted on a few hundred photos may warn without cause.
DRIFT_TOLERANCE = 0.05
EXAMPLES = 5


def check_counts(batch: DataFrame, features: DataFrame, rejects: DataFrame) -> list[Finding]:
    """Check that every photo of the batch is a row of features or a reject, in total and for each variety."""
    counted = {
        name: {row["label"]: row["count"] for row in frame.groupBy("label").count().collect()}
        for name, frame in (("batch", batch), ("features", features), ("rejects", rejects))
    }
    wrong = []
    for label in sorted(set().union(*counted.values())):
        photos, good, bad = (counted[name].get(label, 0) for name in ("batch", "features", "rejects"))
        if photos != good + bad:
            wrong.append(f"{label or '(no variety)'}: {photos} photos, {good} features + {bad} rejects")
    if not wrong:
        return []
    return [Finding("counts", "red", f"{len(wrong)} varieties do not add up: {_some(wrong)}")]


def check_reject_ratio(rejects: int, photos: int, *, max_ratio: float, reasons: dict[str, int]) -> list[Finding]:
    """Hold the share of rejects within `max_ratio`."""
    ratio = rejects / photos if photos else 0.0
    if not rejects:
        return []
    named = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    text = f"{rejects} of {photos} photos rejected ({ratio:.1%}; {named})"
    if ratio <= max_ratio:
        return [Finding("reject_ratio", "info", text)]
    return [Finding("reject_ratio", "red", f"{text}; max_reject_ratio is {max_ratio:.1%}")]


def check_features(features: DataFrame) -> list[Finding]:
    """Check that every vector has 1,280 finite numbers, not all of them zero."""
    is_bad: Callable[[Column], Column] = lambda x: F.isnan(x) | (F.abs(x) == F.lit(float("inf")))  # noqa: E731
    vector = F.col("features")
    tests = {
        "dimension": (_size(vector) != FEATURE_COUNT, f"vectors without {FEATURE_COUNT} numbers"),
        "finite": (F.exists(vector, is_bad), "vectors with NaN or an infinite value"),
        "all_zero": (F.forall(vector, lambda x: x == 0), "vectors of zeros only"),
    }
    findings = []
    counts = features.select(*(F.count_if(test).alias(name) for name, (test, _) in tests.items())).first()
    for name, (test, text) in tests.items():
        if counts is not None and counts[name]:
            examples = [row["path"] for row in features.filter(test).select("path").limit(EXAMPLES).collect()]
            findings.append(Finding(name, "red", f"{counts[name]} {text}: {_some(examples)}"))
    return findings


def check_duplicates(features: DataFrame, rejects: DataFrame) -> list[Finding]:
    """Check that no path occurs twice, in features and rejects together."""
    paths = features.select("path").unionByName(rejects.select("path"))
    twice = paths.groupBy("path").count().filter("count > 1")
    count = twice.count()
    if not count:
        return []
    examples = [row["path"] for row in twice.limit(EXAMPLES).collect()]
    return [Finding("duplicates", "red", f"{count} paths occur more than once: {_some(examples)}")]


def check_projected(projected: DataFrame, *, expected: int, k: int) -> list[Finding]:
    """Check that there is one projection of `k` finite numbers for each row that was to be projected."""
    vector = F.col("projected")
    wrong = (_size(vector) != k) | F.exists(vector, lambda x: F.isnan(x) | (F.abs(x) == F.lit(float("inf"))))
    row = projected.select(F.count("*").alias("rows"), F.count_if(wrong).alias("wrong")).first()
    assert row is not None, "an aggregate without groups has one row"
    findings = []
    if row["rows"] != expected:
        findings.append(Finding("projected", "red", f"{row['rows']} projections of {expected} features"))
    if row["wrong"]:
        findings.append(Finding("projected", "red", f"{row['wrong']} projections are not {k} finite numbers"))
    return findings


def check_variance(card: PcaCard) -> list[Finding]:
    """Hold the PCA to the share of the variance that was asked for, unless the number of components was fixed."""
    if card.asked_components or card.explained >= card.asked_variance - 1e-9:
        return []
    return [Finding("variance", "red", f"{card.k} components explain {card.explained:.4f}; {card.asked_variance} was asked for")]


def check_drift(transform: Manifest, card: PcaCard) -> list[Finding]:
    """Warn when the PCA keeps less of the new photos' variance than of those it was fitted on."""
    now = transform.figures["explained_variance"]
    if now is None or now >= card.explained - DRIFT_TOLERANCE:
        return []
    return [
        Finding(
            "drift",
            "warning",
            f"the PCA keeps {now:.1%} of the variance of these photos, {card.explained:.1%} of those it was fitted on: "
            "refit recommended (trigger a run with mode=fit)",
        )
    ]


def _size(vector: Column) -> Column:
    # The size of NULL is -1, and NULL in ANSI mode, in which no comparison would notice it.
    return F.coalesce(F.size(vector), F.lit(0))


def _some(items: list[str]) -> str:
    more = len(items) - EXAMPLES
    return "; ".join(items[:EXAMPLES]) + (f"; and {more} more" if more > 0 else "")
