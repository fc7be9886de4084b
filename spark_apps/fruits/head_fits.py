"""Fits a head of the classifier in three ways, and takes the best by accuracy on held-out photos, the simplest on ties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fruits import calibration
from fruits.classifier import HEADS, Head
from fruits.errors import NothingToTrain
from fruits.held_out import is_for_calibration
from fruits.labelled_rows import LabelledRows
from fruits.linear_heads import LinearScores
from fruits.taxonomy import Taxonomy

METHODS = ("nearest_centroid", "lda", "logistic_regression")  # the simplest first
TIE = 0.005  # a smaller difference in accuracy is no reason for the less simple method


@dataclass(frozen=True)
class Question:
    """What a head is to tell apart.

    Parameters
    ----------
    head
        One of `fruits.classifier.HEADS`.
    classes
        The possible answers, sorted.
    answers
        The right answer for each label of the training photos.
    """

    head: str
    classes: tuple[str, ...]
    answers: Mapping[str, str]

    @property
    def numbers(self) -> dict[str, int]:
        """The number of the right class for each label."""
        position = {name: number for number, name in enumerate(self.classes)}
        return {label: position[answer] for label, answer in self.answers.items()}


def questions_of(labels: Sequence[str], taxonomy: Taxonomy) -> tuple[list[Question], dict[str, str]]:
    """Return what can be asked of photos with these labels, and for each head that cannot be trained the reason.

    Raises
    ------
    NothingToTrain
        When there are fewer than two varieties.
    """
    asked, left_out = [], {}
    for head in HEADS:
        answers = {label: taxonomy.meaning_of(label).answer(head) for label in labels}
        classes = tuple(sorted(set(answers.values())))
        if len(classes) > 1:
            asked.append(Question(head, classes, answers))
        else:
            left_out[head] = f"all photos are of one class, {classes[0]}; two are needed"
    if "variety" in left_out:
        raise NothingToTrain(f"a classifier needs photos of two varieties or more; found {', '.join(labels)}")
    return asked, left_out


def choose(accuracies: Mapping[str, float]) -> str:
    """Return the method with the best accuracy, or the simplest one that comes within `TIE` of it."""
    best = max(accuracies.values())
    return next(method for method in METHODS if accuracies[method] >= best - TIE)


def accuracy_of(scores: LinearScores, question: Question, rows: LabelledRows) -> float:
    """Return the share of rows whose class has the highest score."""
    numbers = np.array([question.numbers[label] for label in rows.labels])
    return float((scores.of(rows.inputs).argmax(axis=1) == numbers).mean())


def calibrated(scores: LinearScores, question: Question, *, method: str, rows: LabelledRows, precision: float) -> Head:
    """Return the head with probabilities for scores, calibrated on that half of the held-out rows which is not tested on."""
    chosen = np.array([is_for_calibration(path) for path in rows.paths])
    if not chosen.any() or chosen.all():
        raise NothingToTrain(f"{len(rows)} held-out photos are too few to calibrate and to test on; add photos")
    half = rows.where(chosen)
    numbers = np.array([question.numbers[label] for label in half.labels])
    temperature = calibration.fit_temperature(scores.of(half.inputs), numbers)
    head = Head(
        name=question.head,
        method=method,
        classes=question.classes,
        weights=(scores.weights / temperature).astype(np.float32),
        bias=(scores.bias / temperature).astype(np.float32),
        sure_above=0.0,
    )
    sure_above = calibration.sure_above(head.probabilities(half.inputs), numbers, precision=precision)
    return replace(head, sure_above=sure_above)
