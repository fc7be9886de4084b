"""A trained classifier: linear heads over a photo's features and colors, and how far a photo is from all that it knows.

NumPy only, so that the service answers with the code that the evaluation measured; enforced by test_architecture.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fruits.colors import COLOR_COUNT
from fruits.engines import FEATURE_COUNT

HEADS = ("variety", "fruit", "condition")
INPUT_COUNT = FEATURE_COUNT + COLOR_COUNT
# Chosen on the last rotation axis of 20 folders of Fruits-360 (docs/decisions/0018): 5 is too little, from 10 on it hardly matters.
COLOR_WEIGHT = 20.0


def inputs_of(features: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Return what classifiers read: square roots, because both are shares of a whole rather than lengths (Hellinger).

    Parameters
    ----------
    features : ndarray, shape (n, 1280)
        As `fruits.engines` returns them, not negative.
    colors : ndarray, shape (n, 192)
        As `fruits.colors` returns them.

    Returns
    -------
    ndarray, shape (n, 1472), float32
    """
    inputs = np.empty((len(features), INPUT_COUNT), np.float32)
    np.sqrt(np.maximum(features, 0), out=inputs[:, :FEATURE_COUNT])
    np.multiply(np.sqrt(colors), COLOR_WEIGHT, out=inputs[:, FEATURE_COUNT:])
    return inputs


@dataclass(frozen=True)
class Head:
    """One question that the classifier answers.

    Parameters
    ----------
    name
        One of `HEADS`.
    method
        How it was fitted, e.g. `lda`.
    classes
        The possible answers, sorted.
    weights : ndarray, shape (1472, classes), float32
    bias : ndarray, shape (classes,), float32
        The softmax of `inputs @ weights + bias` is the calibrated probability: the temperature is part of both.
    sure_above
        An answer of a lower probability is "not sure".
    """

    name: str
    method: str
    classes: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    sure_above: float

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probability of each class, shape (n, classes), float32, for `inputs`, shape (n, 1472)."""
        scores = inputs @ self.weights + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        return scores / scores.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Familiarity:
    """Tells photos of known varieties from others by the distance to the nearest variety.

    Parameters
    ----------
    axes : ndarray, shape (1472, r), float32
        Directions that make the spread within varieties the same everywhere (whitening).
    centers : ndarray, shape (varieties, r), float32
        The mean of each variety along these axes.
    unknown_above
        A photo at a larger distance is of nothing that the classifier knows.
    """

    axes: np.ndarray
    centers: np.ndarray
    unknown_above: float

    def distances(self, inputs: np.ndarray) -> np.ndarray:
        """Return the distance to the nearest variety, shape (n,), as a Mahalanobis distance over sqrt(r)."""
        points = inputs @ self.axes
        squared = (points**2).sum(axis=1, keepdims=True) - 2 * points @ self.centers.T + (self.centers**2).sum(axis=1)
        return np.sqrt(np.maximum(squared.min(axis=1), 0) / self.axes.shape[1])


@dataclass(frozen=True)
class Classifier:
    """All heads that could be trained, for features of one extractor."""

    extractor: str
    heads: Mapping[str, Head]
    familiarity: Familiarity

    def to_bytes(self) -> bytes:
        """Return the content of `classifier.npz`: plain arrays, and the same bytes for the same arrays."""
        arrays = {
            "extractor": np.array(self.extractor),
            "heads": np.array(list(self.heads)),
            "familiarity/axes": self.familiarity.axes,
            "familiarity/centers": self.familiarity.centers,
            "familiarity/unknown_above": np.array(self.familiarity.unknown_above),
        }
        for name, head in self.heads.items():
            arrays[f"{name}/method"] = np.array(head.method)
            arrays[f"{name}/classes"] = np.array(head.classes)
            arrays[f"{name}/weights"] = head.weights
            arrays[f"{name}/bias"] = head.bias
            arrays[f"{name}/sure_above"] = np.array(head.sure_above)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Classifier":
        """Read `to_bytes` back.

        Raises
        ------
        ValueError, KeyError
            Not a classifier, or a damaged one.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            heads = {
                name: Head(
                    name=name,
                    method=str(arrays[f"{name}/method"]),
                    classes=tuple(arrays[f"{name}/classes"].tolist()),
                    weights=arrays[f"{name}/weights"],
                    bias=arrays[f"{name}/bias"],
                    sure_above=float(arrays[f"{name}/sure_above"]),
                )
                for name in arrays["heads"].tolist()
            }
            familiarity = Familiarity(
                axes=arrays["familiarity/axes"],
                centers=arrays["familiarity/centers"],
                unknown_above=float(arrays["familiarity/unknown_above"]),
            )
            return cls(str(arrays["extractor"]), heads, familiarity)


def model_id_of(content: bytes) -> str:
    """Return the id of a classifier, by the content of its file."""
    return hashlib.sha256(content).hexdigest()[:16]
