"""Checks that a run must pass before it is published. Each returns findings; none means passed. No I/O."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fruits.engines import FEATURE_COUNT
from fruits.row_counts import EXAMPLES, RowCounts
from fruits.saved_pca import PcaCard
from fruits_contract.manifest import Finding, Manifest

FEATURE_FAULTS = {
    "dimension": f"vectors whose length is not {FEATURE_COUNT}",
    "finite": "vectors with NaN or an infinite value",
    "all_zero": "vectors of zeros only",
}
# Share of the variance. On Fruits-360 (540 photos) other species lose 0.30 to 0.56; but the other half of the same photos loses
# 0.05 to 0.06, too, so a PCA that was fitted on a few hundred photos may warn without cause.
DRIFT_TOLERANCE = 0.05


def check_counts(photos: RowCounts, features: RowCounts, rejects: RowCounts) -> list[Finding]:
    """Check that every photo of the batch is a row of features or a reject, in total and for each variety."""
    wrong = []
    for label in sorted({*photos.labels, *features.labels, *rejects.labels}):
        total, good, bad = photos.labels[label], features.labels[label], rejects.labels[label]
        if total != good + bad:
            wrong.append(f"{label or '(no variety)'}: {total} photos, {good} features + {bad} rejects")
    if not wrong:
        return []
    return [Finding("counts", "red", f"{len(wrong)} varieties have a wrong count: {_some(wrong)}")]


def check_reject_ratio(rejects: int, photos: int, *, max_ratio: float, reasons: dict[str, int]) -> list[Finding]:
    """Check that the share of rejects is at most `max_ratio`."""
    ratio = rejects / photos if photos else 0.0
    if not rejects:
        return []
    named = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    text = f"{rejects} of {photos} photos rejected ({ratio:.1%}; {named})"
    if ratio <= max_ratio:
        return [Finding("reject_ratio", "info", text)]
    return [Finding("reject_ratio", "red", f"{text}; max_reject_ratio is {max_ratio:.1%}")]


def feature_faults(rows: pa.RecordBatch) -> dict[str, np.ndarray]:
    """Return which rows have which of `FEATURE_FAULTS`, as booleans, shape (n,)."""
    vectors = rows["features"]
    is_zero = ~_any_value(vectors, lambda values: values != 0)
    return {"dimension": ~_has_size(vectors, FEATURE_COUNT), "finite": _has_not_finite(vectors), "all_zero": is_zero}


def check_features(features: RowCounts) -> list[Finding]:
    """Check that every vector has 1,280 finite numbers, not all of them zero."""
    return [
        Finding(name, "red", f"{features.faults[name]} {text}: {_some(features.examples[name])}")
        for name, text in FEATURE_FAULTS.items()
        if features.faults[name]
    ]


def check_duplicates(count: int, examples: list[str]) -> list[Finding]:
    """Check that no path occurs twice, in features and rejects together."""
    if not count:
        return []
    return [Finding("duplicates", "red", f"{count} paths occur more than once: {_some(examples)}")]


def projection_faults(rows: pa.RecordBatch, *, k: int) -> dict[str, np.ndarray]:
    """Return which projections are not `k` finite numbers, as booleans, shape (n,)."""
    vectors = rows["projected"]
    return {"projected": ~_has_size(vectors, k) | _has_not_finite(vectors)}


def check_projected(projected: RowCounts, *, expected: int, k: int) -> list[Finding]:
    """Check that there is one projection of `k` finite numbers for each row that was to be projected."""
    findings = []
    if projected.rows != expected:
        findings.append(Finding("projected", "red", f"{projected.rows} projections of {expected} features"))
    if projected.faults["projected"]:
        wrong = projected.faults["projected"]
        findings.append(Finding("projected", "red", f"{wrong} projections are not {k} finite numbers"))
    return findings


def check_variance(card: PcaCard) -> list[Finding]:
    """Check that the PCA explains the requested share of the variance, unless the number of components was requested."""
    if card.requested_components or card.explained >= card.requested_variance - 1e-9:
        return []
    text = f"{card.k} components explain {card.explained:.4f}; {card.requested_variance} was requested"
    return [Finding("variance", "red", text)]


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


def _has_size(vectors: pa.ListArray, size: int) -> np.ndarray:
    """Return which lists have `size` items; a missing list has none."""
    has_size: np.ndarray = _lengths(vectors) == size
    return has_size


def _has_not_finite(vectors: pa.ListArray) -> np.ndarray:
    return _any_value(vectors, lambda values: ~np.isfinite(values))


def _any_value(vectors: pa.ListArray, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return which lists have a value that passes `test`, by how many pass before their first and up to their last value."""
    passed = np.concatenate([[0], np.cumsum(test(vectors.flatten().to_numpy(zero_copy_only=False)))])
    lengths = _lengths(vectors)
    ends = np.cumsum(lengths)
    has_any: np.ndarray = passed[ends] > passed[ends - lengths]
    return has_any


def _lengths(vectors: pa.ListArray) -> np.ndarray:
    lengths: np.ndarray = pc.fill_null(pc.list_value_length(vectors), 0).to_numpy()
    return lengths


def _some(items: list[str]) -> str:
    if not items:
        return "contributed photos, which are not named"
    more = len(items) - EXAMPLES
    return "; ".join(items[:EXAMPLES]) + (f"; and {more} more" if more > 0 else "")
