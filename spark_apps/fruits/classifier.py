"""A trained classifier: a linear one over a photo's features and colors, and how far a photo is from all that it knows.

NumPy only, so that the service answers with the code that the evaluation measured; enforced by test_architecture.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fruits.colors import COLOR_COUNT
from fruits.engines import FEATURE_COUNT
from fruits.errors import InvalidClassifier

HEADS = ("variety", "fruit", "condition")
INPUT_COUNT = FEATURE_COUNT + COLOR_COUNT
# 5 is too little; from 10 on it hardly matters (docs/decisions/0018).
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
    """One question that the classifier answers, by adding up the probabilities of varieties.

    Parameters
    ----------
    name
        One of `HEADS`.
    classes
        The possible answers, sorted.
    members : ndarray, shape (varieties,), int64
        The class of each variety.
    """

    name: str
    classes: tuple[str, ...]
    members: np.ndarray

    def probabilities(self, of_varieties: np.ndarray) -> np.ndarray:
        """Return the probability of each class, shape (n, classes), from that of each variety, shape (n, varieties)."""
        is_member = self.members[:, None] == np.arange(len(self.classes))
        probabilities: np.ndarray = of_varieties @ is_member.astype(np.float32)
        return probabilities


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
        distances: np.ndarray = np.sqrt(np.maximum(squared.min(axis=1), 0) / self.axes.shape[1])
        return distances


@dataclass(frozen=True)
class Classifier:
    """A linear classifier of varieties, and the other questions that their probabilities answer.

    Parameters
    ----------
    extractor
        sha256 of the feature extractor whose features it reads.
    method
        How it was fitted, e.g. `lda`.
    weights : ndarray, shape (1472, varieties), float32
    bias : ndarray, shape (varieties,), float32
        The softmax of `inputs @ weights + bias` is the calibrated probability: the temperature is part of both.
    sure_above
        An answer of a lower probability is "not sure".
    heads
        By name; `variety` is always one of them.
    """

    extractor: str
    method: str
    weights: np.ndarray
    bias: np.ndarray
    sure_above: float
    heads: Mapping[str, Head]
    familiarity: Familiarity

    def probabilities(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the probability of each class of each head, shape (n, classes), for `inputs`, shape (n, 1472)."""
        scores = inputs @ self.weights + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        of_varieties = scores / scores.sum(axis=1, keepdims=True)
        return {name: head.probabilities(of_varieties) for name, head in self.heads.items()}

    def to_bytes(self) -> bytes:
        """Return the content of `classifier.npz`: plain arrays, and the same bytes for the same arrays."""
        arrays = {
            "extractor": np.array(self.extractor),
            "method": np.array(self.method),
            "weights": self.weights,
            "bias": self.bias,
            "sure_above": np.array(self.sure_above),
            "heads": np.array(list(self.heads)),
            "familiarity/axes": self.familiarity.axes,
            "familiarity/centers": self.familiarity.centers,
            "familiarity/unknown_above": np.array(self.familiarity.unknown_above),
        }
        for name, head in self.heads.items():
            arrays[f"{name}/classes"] = np.array(head.classes)
            arrays[f"{name}/members"] = head.members
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Classifier":
        """Read `to_bytes` back.

        Raises
        ------
        InvalidClassifier
            Not a classifier, or a damaged one.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                return cls._from_arrays(dict(stored))
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidClassifier(f"not the arrays of a classifier: {error}") from error

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Classifier":
        heads = {
            name: Head(name, tuple(arrays[f"{name}/classes"].tolist()), arrays[f"{name}/members"])
            for name in arrays["heads"].tolist()
        }
        weights, varieties = arrays["weights"], len(heads["variety"].classes)
        if weights.shape != (INPUT_COUNT, varieties):
            raise ValueError(f"weights are of shape {weights.shape}, expected {(INPUT_COUNT, varieties)}")
        return cls(
            extractor=str(arrays["extractor"]),
            method=str(arrays["method"]),
            weights=weights,
            bias=arrays["bias"],
            sure_above=float(arrays["sure_above"]),
            heads=heads,
            familiarity=Familiarity(
                axes=arrays["familiarity/axes"],
                centers=arrays["familiarity/centers"],
                unknown_above=float(arrays["familiarity/unknown_above"]),
            ),
        )


def model_id_of(content: bytes) -> str:
    """Return the id of a classifier, by the content of its file."""
    return hashlib.sha256(content).hexdigest()[:16]
