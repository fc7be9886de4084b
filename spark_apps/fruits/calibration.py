"""Makes scores into probabilities that can be believed, and measures how far they can.

Imports neither Spark nor S3: arrays in, arrays out.

References
----------
Guo et al. (2017), "On Calibration of Modern Neural Networks": temperature scaling, reliability diagram, ECE.
"""

from dataclasses import dataclass

import numpy as np

BINS = 15
TEMPERATURES = np.geomspace(0.02, 200, 400)
LEAST_SURE = 0.5  # an answer that is more likely wrong than right is never sure


def fit_temperature(scores: np.ndarray, numbers: np.ndarray) -> float:
    """Return the temperature that makes the softmax of `scores / temperature` the most likely for the true classes.

    Parameters
    ----------
    scores : ndarray, shape (n, classes)
    numbers : ndarray, shape (n,)
        The true classes.
    """
    losses = [-np.log(np.maximum(_true_share(scores / value, numbers), 1e-12)).mean() for value in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _true_share(scores: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    share: np.ndarray = powers[np.arange(len(numbers)), numbers] / powers.sum(axis=1)
    return share


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


def sure_above(probabilities: np.ndarray, numbers: np.ndarray, *, precision: float) -> float:
    """Return the smallest probability from which on the share of right answers is at least `precision`; 1 where none is.

    Answers of the same probability stand or fall together; the result is at least `LEAST_SURE`.
    """
    likeliest = probabilities.max(axis=1)
    order = np.argsort(-likeliest, kind="stable")
    right = (probabilities.argmax(axis=1) == numbers)[order].cumsum() / np.arange(1, len(order) + 1)
    sorted_probabilities = likeliest[order]
    is_last_of_equals = np.append(sorted_probabilities[1:] < sorted_probabilities[:-1], True)
    reached = np.flatnonzero((right >= precision) & is_last_of_equals)
    return max(LEAST_SURE, float(sorted_probabilities[reached[-1]])) if len(reached) else 1.0
