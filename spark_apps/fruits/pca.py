"""Exact PCA from mergeable centred moments.

Imports neither Spark nor S3: arrays in, arrays out.

References
----------
Chan, Golub, LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample variances": the merge.
"""

from dataclasses import dataclass

import numpy as np

from fruits.errors import TooFewImages


@dataclass(frozen=True)
class Moments:
    """Count, mean (d,) and centred second moment M2 (d, d) of rows, float64."""

    count: int
    mean: np.ndarray
    m2: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Moments":
        """Return the moments of `rows`, shape (n, d), n >= 1; computed in float64 whatever the dtype is."""
        rows = np.asarray(rows, dtype=np.float64)
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(len(rows), mean, centred.T @ centred)

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of rows together; associative up to rounding."""
        count = self.count + other.count
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.count / count)
        m2 = self.m2 + other.m2 + np.outer(shift, shift) * (self.count * other.count / count)
        return Moments(count, mean, m2)


@dataclass(frozen=True)
class Pca:
    """Principal components of centred features.

    Parameters
    ----------
    mean : ndarray, shape (d,), float64
    components : ndarray, shape (k, d), float64
        Orthonormal rows, largest variance first; the largest loading of each is positive, so that two fits of the same
        features agree in sign.
    spectrum : ndarray, shape (d,), float64
        Share of the variance along each direction, all d of them, largest first.
    count : int
        Number of rows it was fitted on.
    """

    mean: np.ndarray
    components: np.ndarray
    spectrum: np.ndarray
    count: int

    @property
    def explained(self) -> float:
        """Share of the variance that the kept components explain."""
        return float(self.spectrum[: len(self.components)].sum())

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Project centred `rows`, shape (n, d), on the components; float64, shape (n, k)."""
        projected: np.ndarray = (np.asarray(rows, dtype=np.float64) - self.mean) @ self.components.T
        return projected


def fit(moments: Moments, *, variance: float = 0.70, components: int = 0) -> Pca:
    """Fit a PCA: `components` of them, or the smallest number whose share of the variance reaches `variance`.

    Raises
    ------
    TooFewImages
        With fewer than two rows, no variance at all, or fewer directions than `components`.
    """
    rank = min(moments.count - 1, len(moments.mean))
    if rank < 1 or not np.trace(moments.m2) > 0:
        raise TooFewImages(f"a PCA needs at least 2 different photos; found {moments.count} without variance between them")
    if components > rank:
        raise TooFewImages(f"{components} components were requested; {moments.count} photos have at most {rank}")
    values, vectors = np.linalg.eigh(moments.m2 / (moments.count - 1))
    values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]
    spectrum = values / values.sum()
    kept = components or min(int(np.searchsorted(np.cumsum(spectrum), variance)) + 1, rank)
    axes = vectors[:, :kept].T
    largest = axes[np.arange(kept), np.abs(axes).argmax(axis=1)]
    return Pca(moments.mean, np.ascontiguousarray(axes * np.sign(largest)[:, None]), spectrum, moments.count)


@dataclass(frozen=True)
class Spread:
    """How much of the variance of some rows a PCA explains: sums that add up over partitions."""

    count: int
    centred_sum: np.ndarray
    centred_squares: float
    projected_sum: np.ndarray
    projected_squares: float

    @classmethod
    def of(cls, rows: np.ndarray, projected: np.ndarray, pca: Pca) -> "Spread":
        """Return the sums for `rows`, shape (n, d), and their projections, shape (n, k)."""
        centred = np.asarray(rows, dtype=np.float64) - pca.mean
        return cls(
            len(rows),
            centred.sum(axis=0),
            float(np.square(centred).sum()),
            projected.sum(axis=0),
            float(np.square(projected).sum()),
        )

    def merge(self, other: "Spread") -> "Spread":
        """Return the sums of both."""
        return Spread(
            self.count + other.count,
            self.centred_sum + other.centred_sum,
            self.centred_squares + other.centred_squares,
            self.projected_sum + other.projected_sum,
            self.projected_squares + other.projected_squares,
        )

    @property
    def explained(self) -> float | None:
        """Share of these rows' own variance that the PCA keeps; None where they have none."""
        total = self.centred_squares - float(np.square(self.centred_sum).sum()) / self.count
        kept = self.projected_squares - float(np.square(self.projected_sum).sum()) / self.count
        return kept / total if total > 1e-12 * self.centred_squares else None
