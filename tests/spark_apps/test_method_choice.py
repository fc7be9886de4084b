"""The best method is taken, the simplest on ties; what cannot be trained is refused or left out with a reason."""

import numpy as np
import pytest

from fruits import taxonomy
from fruits.classifier import INPUT_COUNT, Familiarity
from fruits.errors import NothingToTrain
from fruits.held_out import is_for_calibration
from fruits.labelled_rows import LabelledRows
from fruits.linear_fits import LinearScores
from fruits.method_choice import accuracy_of, calibrated, calibration_half, choose_method, heads_of

FAMILIARITY = Familiarity(np.eye(INPUT_COUNT, 2, dtype=np.float32), np.zeros((1, 2), np.float32), 1.0)


def rows(count: int) -> LabelledRows:
    """Rows whose first input is 1 for an apple and whose second is 1 for a cherry."""
    inputs = np.zeros((count, INPUT_COUNT), np.float32)
    inputs[np.arange(count), np.arange(count) % 2] = 1
    return LabelledRows(
        [f"raw/d/x/{n}.jpg" for n in range(count)], ["Apple 1" if n % 2 == 0 else "Cherry 1" for n in range(count)], inputs
    )


SCORES = LinearScores(np.eye(INPUT_COUNT, 2), np.zeros(2))


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [
        ((0.90, 0.91, 0.95), "logistic_regression"),
        ((0.90, 0.946, 0.95), "lda"),
        ((0.95, 0.95, 0.95), "nearest_centroid"),
        ((0.90, 0.95, 0.80), "lda"),
    ],
)
def test_the_simplest_of_the_best_is_taken(accuracies: tuple[float, float, float], chosen: str) -> None:
    assert choose_method(dict(zip(("nearest_centroid", "lda", "logistic_regression"), accuracies, strict=True))) == chosen


def test_a_head_with_a_single_class_is_left_out() -> None:
    heads, left_out = heads_of(["Apple 1", "Apple 2"], taxonomy.load())
    assert list(heads) == ["variety"]
    assert left_out == {
        "fruit": "all photos are of one class, apple; two are needed",
        "condition": "all photos are of one class, fresh; two are needed",
    }


def test_folders_of_another_data_set_give_all_three_heads() -> None:
    heads, left_out = heads_of(["freshapples", "rottenbanana", "unripe orange"], taxonomy.load())
    assert heads["fruit"].classes == ("apple", "banana", "orange")
    assert heads["condition"].classes == ("fresh", "rotten", "unripe")
    assert heads["condition"].members.tolist() == [0, 1, 2]
    assert left_out == {}


def test_one_variety_is_refused() -> None:
    with pytest.raises(NothingToTrain, match="two varieties or more; found Apple 1"):
        heads_of(["Apple 1"], taxonomy.load())


def test_accuracy_is_the_share_of_right_answers() -> None:
    assert accuracy_of(SCORES, ["Apple 1", "Cherry 1"], rows(10)) == 1
    assert accuracy_of(SCORES, ["Cherry 1", "Apple 1"], rows(10)) == 0


def test_probabilities_are_calibrated_and_the_threshold_is_kept() -> None:
    heads, _ = heads_of(["Apple 1", "Cherry 1"], taxonomy.load())
    classifier = calibrated(
        SCORES, heads, method="lda", extractor="e" * 64, sure_above=0.7, familiarity=FAMILIARITY, held_out=rows(100)
    )
    found = classifier.probabilities(rows(2).inputs)["variety"]
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert 0.9 < found.max() < 1
    assert classifier.sure_above == 0.7


def test_the_half_that_calibrates_is_not_tested_on() -> None:
    half = calibration_half(rows(100))
    assert 30 < len(half) < 70
    assert all(is_for_calibration(path) for path in half.paths)


def test_too_few_held_out_photos_are_refused() -> None:
    heads, _ = heads_of(["Apple 1", "Cherry 1"], taxonomy.load())
    with pytest.raises(NothingToTrain, match="1 held-out photos are too few"):
        calibration_half(rows(1))
    with pytest.raises(NothingToTrain, match="1 held-out photos are too few"):
        calibrated(SCORES, heads, method="lda", extractor="e" * 64, sure_above=0.7, familiarity=FAMILIARITY, held_out=rows(1))
