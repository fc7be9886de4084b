"""Takes the classifier that is best on held-out photos, the simplest on ties, and makes its scores into probabilities."""

from collections.abc import Mapping, Sequence

import numpy as np

from fruits import calibration
from fruits.classifier import HEADS, Classifier, Familiarity, Head
from fruits.errors import NothingToTrain
from fruits.held_out import is_for_calibration
from fruits.labelled_rows import LabelledRows
from fruits.linear_fits import LinearScores
from fruits.taxonomy import Taxonomy

METHODS = ("nearest_centroid", "lda", "logistic_regression")  # the simplest first
TIE = 0.005  # a smaller difference in accuracy is no reason for the less simple method


def heads_of(varieties: Sequence[str], taxonomy: Taxonomy) -> tuple[dict[str, Head], dict[str, str]]:
    """Return the heads for these varieties, and for each head that cannot be trained the reason.

    Raises
    ------
    NothingToTrain
        When there are fewer than two varieties.
    """
    if len(varieties) < 2:
        raise NothingToTrain(f"a classifier needs photos of two varieties or more; found {', '.join(varieties)}")
    heads, left_out = {}, {}
    for name in HEADS:
        answers = [taxonomy.meaning_of(variety).answer(name) for variety in varieties]
        classes = sorted(set(answers))
        if len(classes) > 1:
            heads[name] = Head(name, tuple(classes), np.array([classes.index(answer) for answer in answers]))
        else:
            left_out[name] = f"all photos are of one class, {classes[0]}; two are needed"
    return heads, left_out


def choose_method(accuracies: Mapping[str, float]) -> str:
    """Return the method with the best accuracy, or the simplest one that comes within `TIE` of it."""
    best = max(accuracies.values())
    return next(method for method in METHODS if accuracies[method] >= best - TIE)


def accuracy_of(scores: LinearScores, varieties: Sequence[str], rows: LabelledRows) -> float:
    """Return the share of rows whose variety has the highest score."""
    return float((scores.of(rows.inputs).argmax(axis=1) == _numbers(varieties, rows)).mean())


def calibration_half(held_out: LabelledRows) -> LabelledRows:
    """Return that half of the held-out rows which is not tested on: it sets what training rows cannot set.

    Raises
    ------
    NothingToTrain
        When there are too few held-out rows for two halves.
    """
    is_chosen = np.array([is_for_calibration(path) for path in held_out.paths])
    if not is_chosen.any() or is_chosen.all():
        raise NothingToTrain(f"{len(held_out)} held-out photos are too few to calibrate and to test on; add photos")
    return held_out.where(is_chosen)


def calibrated(
    scores: LinearScores,
    heads: Mapping[str, Head],
    *,
    method: str,
    extractor: str,
    sure_above: float,
    familiarity: Familiarity,
    held_out: LabelledRows,
) -> Classifier:
    """Return the classifier, its probabilities calibrated on `calibration_half` of the held-out rows; raises as that does."""
    half = calibration_half(held_out)
    temperature = calibration.fit_temperature(scores.of(half.inputs), _numbers(heads["variety"].classes, half))
    return Classifier(
        extractor=extractor,
        method=method,
        weights=(scores.weights / temperature).astype(np.float32),
        bias=(scores.bias / temperature).astype(np.float32),
        sure_above=sure_above,
        heads=heads,
        familiarity=familiarity,
    )


def _numbers(varieties: Sequence[str], rows: LabelledRows) -> np.ndarray:
    position = {name: number for number, name in enumerate(varieties)}
    return np.array([position[label] for label in rows.labels])
