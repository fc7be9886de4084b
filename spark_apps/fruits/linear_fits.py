"""Fits linear classifiers from the moments of their classes.

Imports neither Spark nor S3: arrays in, arrays out.

References
----------
Fisher (1936) and Friedman (1989), "Regularized Discriminant Analysis": LDA with the covariance shrunk towards a sphere.
Lee et al. (2018), "A Simple Unified Framework for Detecting Out-of-Distribution Samples": the distance of `fit_familiarity`.
"""

from dataclasses import dataclass

import numpy as np

from fruits.class_moments import ClassMoments
from fruits.classifier import Familiarity

SHRINKAGE = 0.1  # from 0.02 to 0.3 the held-out accuracy of Fruits-360 varieties hardly changes; conditions need 0.1 (0018)
FAMILIAR_SHARE = 0.99  # of the held-out photos that set the limit, which are of known varieties; the others are called unknown
FAMILIARITY_AXES = 64  # a fruit left out of training was recognised as unknown best with 32 to 128 (0018)


@dataclass(frozen=True)
class LinearScores:
    """Scores of classes, `rows @ weights + bias`: weights of shape (d, classes), bias of shape (classes,), float64."""

    weights: np.ndarray
    bias: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores of `rows`, shape (n, d); shape (n, classes)."""
        scores: np.ndarray = rows @ self.weights + self.bias
        return scores


def fit_lda(moments: ClassMoments, *, shrinkage: float = SHRINKAGE) -> LinearScores:
    """Fit linear discriminant analysis with equal priors: a rare class, such as a disease, is not drowned by a common one."""
    within = moments.within
    size = len(within)
    sphere = np.trace(within) / size
    shrunk = (1 - shrinkage) * within
    # Rows that do not vary at all within their classes leave no covariance to divide by.
    shrunk[np.diag_indices(size)] += max(shrinkage * sphere, np.finfo(np.float32).eps)
    means = moments.means
    weights = np.linalg.solve(shrunk, means.T)
    return LinearScores(weights, -0.5 * np.einsum("cd,dc->c", means, weights))


def fit_nearest_centroid(moments: ClassMoments) -> LinearScores:
    """Fit the nearest class mean: its squared distance, up to a part that is the same for all classes, is linear."""
    means = moments.means
    return LinearScores(2 * means.T, -np.square(means).sum(axis=1))


def principal_axes(moments: ClassMoments, *, count: int) -> np.ndarray:
    """Return the directions of the largest variance of all rows, shape (d, count), float64, fewer where there are fewer."""
    _, vectors = np.linalg.eigh(moments.total.m2 / moments.total.count)
    return np.ascontiguousarray(vectors[:, ::-1][:, : min(count, moments.total.count - 1)])


def whitening_axes(moments: ClassMoments, *, count: int = FAMILIARITY_AXES) -> np.ndarray:
    """Return the directions of the largest spread within classes, shape (d, count), each scaled to a spread of 1."""
    values, vectors = np.linalg.eigh(moments.within)
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    is_spread = values > 1e-9 * values[0]
    whitened: np.ndarray = vectors[:, is_spread] / np.sqrt(values[is_spread])
    return whitened


def fit_familiarity(moments: ClassMoments, held_out: np.ndarray, *, axes_count: int = FAMILIARITY_AXES) -> Familiarity:
    """Fit the distance to the nearest class mean, and its limit on held-out rows of known classes, shape (n, d)."""
    axes = whitening_axes(moments, count=axes_count).astype(np.float32)
    centers = (moments.means[moments.counts > 0] @ axes).astype(np.float32)
    distances = Familiarity(axes, centers, 0.0).distances(held_out)
    return Familiarity(axes, centers, float(np.quantile(distances, FAMILIAR_SHARE)))
