"""Scores a classifier on held-out photos: accuracy, confusions, calibration, and how much it leaves unsure.

Imports neither Spark nor S3: arrays in, figures out.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fruits import calibration
from fruits.calibration import ReliabilityBin
from fruits.classifier import Classifier
from fruits.held_out import is_for_calibration
from fruits.labelled_rows import LabelledRows
from fruits_contract import layout

NAMED_PHOTOS = 5
NOT_A_CLASS = -1


@dataclass(frozen=True)
class ClassFigures:
    """A class: how many of its photos were tested, the share that was found (recall), the share of right answers (precision)."""

    name: str
    tested: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Confusion:
    """Photos of `truth` that were taken for `answer`: how many, and the names of the first that nobody contributed."""

    truth: str
    answer: str
    count: int
    photos: tuple[str, ...]


@dataclass(frozen=True)
class HeadFigures:
    """What one head does on the held-out photos.

    Parameters
    ----------
    accuracy
        Share of right answers.
    balanced_accuracy
        Mean recall of the classes that were tested.
    ece
        Expected calibration error, on the half of the photos that was not used for calibration; so are the next three.
    reliability
        The bins of the reliability diagram.
    sure_share, sure_accuracy
        Share of answers that are not "not sure", and the share of right ones among them.
    """

    accuracy: float
    balanced_accuracy: float
    ece: float
    reliability: tuple[ReliabilityBin, ...]
    sure_share: float
    sure_accuracy: float | None
    classes: tuple[ClassFigures, ...]
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True)
class Evaluation:
    """What a classifier does on the held-out photos, by head.

    Parameters
    ----------
    unknown_share
        Share of photos that are called unknown, on the half that was not used to set the limit.
    """

    photos: int
    heads: dict[str, HeadFigures]
    unknown_share: float

    @property
    def metrics(self) -> dict[str, float]:
        """The figures by which classifiers are compared; a head that is missing has none."""
        accuracies = {f"{name}_accuracy": round(head.accuracy, 6) for name, head in self.heads.items()}
        return {**accuracies, "ece": round(self.heads["variety"].ece, 6)}

    def classes(self, head: str) -> set[str]:
        """Return the answers that a head can give."""
        return {item.name for item in self.heads[head].classes}

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain data."""
        return asdict(self)


def evaluate(classifier: Classifier, rows: LabelledRows, *, answer_of: Callable[[str, str], str]) -> Evaluation:
    """Score `classifier` on `rows`; `answer_of` returns the right answer for a label and a head."""
    is_tested = np.array([not is_for_calibration(path) for path in rows.paths])
    probabilities = classifier.probabilities(rows.inputs)
    heads = {
        name: _score(
            probabilities[name],
            head.classes,
            rows,
            is_tested=is_tested,
            truths=[answer_of(label, name) for label in rows.labels],
            sure_above=classifier.sure_above,
        )
        for name, head in classifier.heads.items()
    }
    distances = classifier.familiarity.distances(rows.inputs[is_tested])
    return Evaluation(len(rows), heads, float((distances > classifier.familiarity.unknown_above).mean()))


def _score(
    probabilities: np.ndarray,
    names: tuple[str, ...],
    rows: LabelledRows,
    *,
    is_tested: np.ndarray,
    truths: list[str],
    sure_above: float,
) -> HeadFigures:
    position = {name: number for number, name in enumerate(names)}
    # An earlier classifier may not have the class: then no answer is right.
    numbers = np.array([position.get(truth, NOT_A_CLASS) for truth in truths])
    answers = probabilities.argmax(axis=1)
    is_right = answers == numbers

    bins = calibration.reliability(probabilities[is_tested], numbers[is_tested])
    is_sure = is_tested & (probabilities.max(axis=1) >= sure_above)
    classes = tuple(_class_figures(name, number, numbers=numbers, answers=answers) for number, name in enumerate(names))
    recalls = [item.recall for item in classes if item.recall is not None]
    return HeadFigures(
        accuracy=float(is_right.mean()),
        balanced_accuracy=float(np.mean(recalls)) if recalls else 0.0,
        ece=calibration.expected_calibration_error(bins),
        reliability=tuple(bins),
        sure_share=float(is_sure.sum() / is_tested.sum()),
        sure_accuracy=float(is_right[is_sure].mean()) if is_sure.any() else None,
        classes=classes,
        confusions=_confusions(rows.paths, truths, [names[number] for number in answers]),
    )


def _class_figures(name: str, number: int, *, numbers: np.ndarray, answers: np.ndarray) -> ClassFigures:
    is_truth, is_answer = numbers == number, answers == number
    right = int((is_truth & is_answer).sum())
    return ClassFigures(
        name,
        int(is_truth.sum()),
        right / int(is_answer.sum()) if is_answer.any() else None,
        right / int(is_truth.sum()) if is_truth.any() else None,
    )


def _confusions(paths: list[str], truths: list[str], answers: list[str]) -> tuple[Confusion, ...]:
    """Return the confused pairs of classes, the most frequent first."""
    photos: dict[tuple[str, str], list[str]] = {}
    for path, truth, answer in zip(paths, truths, answers, strict=True):
        if truth != answer:
            photos.setdefault((truth, answer), []).append(path)
    found = [Confusion(*pair, len(names), _named(names)) for pair, names in photos.items()]
    return tuple(sorted(found, key=lambda item: (-item.count, item.truth, item.answer)))


def _named(paths: list[str]) -> tuple[str, ...]:
    """Return the first paths of photos that nobody contributed: a card outlives the photos that it names."""
    return tuple([path for path in paths if not layout.contribution_of(path)][:NAMED_PHOTOS])
