"""Calibrated probabilities are those with which answers are right."""

import numpy as np
import pytest

from fruits import calibration


def overconfident(factor: float, *, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return scores `factor` times too large, and classes drawn with the probabilities that the right scores state."""
    random = np.random.default_rng(7)
    scores = random.normal(size=(count, 4)) * 2
    powers = np.exp(scores)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    numbers = (probabilities.cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    return scores * factor, numbers


@pytest.mark.parametrize("factor", [0.2, 1, 30])
def test_the_temperature_undoes_the_scale_of_scores(factor: float) -> None:
    scores, numbers = overconfident(factor)
    assert calibration.fit_temperature(scores, numbers) == pytest.approx(factor, rel=0.1)


def test_scores_without_an_error_do_not_become_certainties() -> None:
    numbers = np.arange(200) % 4
    temperature = calibration.fit_temperature(np.eye(4)[numbers], numbers)
    powers = np.exp(np.eye(4)[0] / temperature)
    assert 0.9 < powers[0] / powers.sum() < 0.9999


def test_the_error_is_the_gap_between_probability_and_accuracy() -> None:
    probabilities = np.tile([0.7, 0.3], (10, 1))
    bins = calibration.reliability(probabilities, np.array([0] * 5 + [1] * 5))
    assert [(item.count, item.probability, item.accuracy) for item in bins] == [(10, pytest.approx(0.7), 0.5)]
    assert calibration.expected_calibration_error(bins) == pytest.approx(0.2)


def test_calibration_lowers_the_error() -> None:
    scores, numbers = overconfident(30)

    def error(temperature: float) -> float:
        powers = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
        return calibration.expected_calibration_error(
            calibration.reliability(powers / powers.sum(axis=1, keepdims=True), numbers)
        )

    assert error(calibration.fit_temperature(scores, numbers)) < 0.02 < error(1)
