"""A classifier is the same after saving, its answers never contradict each other, and it knows what it does not know."""

from dataclasses import replace

import numpy as np
import pytest

from fruits.classifier import COLOR_WEIGHT, INPUT_COUNT, Classifier, Familiarity, Head, inputs_of, model_id_of
from fruits.errors import InvalidClassifier

VARIETIES = ("Apple 1", "Apple Rotten 1", "Cherry 1")


@pytest.fixture
def classifier() -> Classifier:
    random = np.random.default_rng(3)
    return Classifier(
        extractor="e" * 64,
        method="lda",
        weights=random.normal(size=(INPUT_COUNT, 3)).astype(np.float32),
        bias=random.normal(size=3).astype(np.float32),
        sure_above=0.8,
        heads={
            "variety": Head("variety", VARIETIES, np.arange(3)),
            "fruit": Head("fruit", ("apple", "cherry"), np.array([0, 0, 1])),
            "condition": Head("condition", ("fresh", "rotten"), np.array([0, 1, 0])),
        },
        familiarity=Familiarity(np.eye(INPUT_COUNT, 4, dtype=np.float32), np.zeros((1, 4), np.float32), 2.0),
    )


def test_it_is_the_same_after_saving(classifier: Classifier) -> None:
    content = classifier.to_bytes()
    again = Classifier.from_bytes(content)
    assert again.to_bytes() == content, "the id is a digest of the content"
    assert model_id_of(content) == model_id_of(classifier.to_bytes())
    assert model_id_of(replace(classifier, sure_above=0.9).to_bytes()) != model_id_of(content)
    inputs = np.random.default_rng(1).random((5, INPUT_COUNT), np.float32)
    for name, probabilities in classifier.probabilities(inputs).items():
        assert np.array_equal(again.probabilities(inputs)[name], probabilities)
        assert again.heads[name].classes == classifier.heads[name].classes
    assert (again.extractor, again.method, again.sure_above) == (classifier.extractor, "lda", 0.8)


def test_fruit_and_condition_add_up_the_varieties(classifier: Classifier) -> None:
    found = classifier.probabilities(np.random.default_rng(2).random((4, INPUT_COUNT), np.float32))
    variety = found["variety"]
    assert np.allclose(variety.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(found["fruit"], np.stack([variety[:, 0] + variety[:, 1], variety[:, 2]], axis=1))
    assert np.allclose(found["condition"], np.stack([variety[:, 0] + variety[:, 2], variety[:, 1]], axis=1))


def test_inputs_are_the_square_roots_of_features_and_weighted_colors() -> None:
    features, colors = np.full((1, 1280), 4, np.float32), np.full((1, 192), 0.25, np.float32)
    features[0, 0] = -1e-6  # an engine may round below zero
    inputs = inputs_of(features, colors)
    assert (inputs.shape, inputs.dtype) == ((1, INPUT_COUNT), np.float32)
    assert (inputs[0, 0], inputs[0, 1], inputs[0, -1]) == (0, 2, COLOR_WEIGHT / 2)


def test_the_distance_is_that_to_the_nearest_center() -> None:
    familiarity = Familiarity(np.eye(INPUT_COUNT, 4, dtype=np.float32), np.array([[0, 0, 0, 0], [9, 9, 9, 9]], np.float32), 2.0)
    inputs = np.zeros((2, INPUT_COUNT), np.float32)
    inputs[1, :4] = 10
    assert familiarity.distances(inputs) == pytest.approx([0, 1])


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"\0" * 40])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidClassifier, match="not the arrays of a classifier"):
        Classifier.from_bytes(content)


def test_weights_of_another_shape_are_refused(classifier: Classifier) -> None:
    with pytest.raises(InvalidClassifier, match=r"weights are of shape \(1280, 3\)"):
        Classifier.from_bytes(replace(classifier, weights=np.zeros((1280, 3), np.float32)).to_bytes())
