"""Calibrates scores into probabilities, and measures the calibration error.

Imports neither Spark nor S3: arrays in, arrays out.

References
----------
Platt (1999), "Probabilistic Outputs for Support Vector Machines": the doubt in the targets of `fit_temperature`.
Guo et al. (2017), "On Calibration of Modern Neural Networks": temperature scaling, reliability diagram, ECE.
"""

from dataclasses import dataclass

import numpy as np

BINS = 15
TEMPERATURES = np.geomspace(0.02, 200, 400)


def fit_temperature(scores: np.ndarray, numbers: np.ndarray) -> float:
    """Return the temperature that makes the softmax of `scores / temperature` the most likely for the true classes.

    The true class counts as right in n + 1 of n + 2 cases, so that scores without a single error do not end as certainties.

    Parameters
    ----------
    scores : ndarray, shape (n, classes)
    numbers : ndarray, shape (n,)
        The true classes.
    """
    losses = [_loss(scores / value, numbers) for value in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _loss(scores: np.ndarray, numbers: np.ndarray) -> float:
    scores = scores - scores.max(axis=1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    doubt = 1 / (len(numbers) + 2)
    return float(-(1 - doubt) * logs[np.arange(len(numbers)), numbers].mean() - doubt * logs.mean())


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers of one range of probability: how many, their mean probability, and the share that is right."""

    count: int
    probability: float
    accuracy: float


def reliability(probabilities: np.ndarray, numbers: np.ndarray) -> list[ReliabilityBin]:
    """Return the bins of a reliability diagram, those without answers left out.

    Parameters
    ----------
    probabilities : ndarray, shape (n, classes)
    numbers : ndarray, shape (n,)
        The true classes.
    """
    likeliest = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == numbers
    in_bin = np.minimum((likeliest * BINS).astype(int), BINS - 1)
    return [
        ReliabilityBin(int(chosen.sum()), float(likeliest[chosen].mean()), float(is_right[chosen].mean()))
        for chosen in (in_bin == number for number in range(BINS))
        if chosen.any()
    ]


def expected_calibration_error(bins: list[ReliabilityBin]) -> float:
    """Return the mean difference between probability and accuracy, by answers."""
    total = sum(item.count for item in bins)
    return sum(item.count * abs(item.probability - item.accuracy) for item in bins) / total
