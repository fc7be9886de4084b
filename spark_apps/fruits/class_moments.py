"""The moments of rows by class, from which linear classifiers follow without a second look at the rows.

Imports neither Spark nor S3: arrays in, arrays out.
"""

from dataclasses import dataclass

import numpy as np

from fruits.pca import Moments


@dataclass(frozen=True)
class ClassMoments:
    """Moments of all rows, and count and sum of those of each class.

    Parameters
    ----------
    total
        Count, mean and centred second moment of all rows.
    counts : ndarray, shape (classes,), int64
    sums : ndarray, shape (classes, d), float64
    """

    total: Moments
    counts: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, numbers: np.ndarray, *, classes: int) -> "ClassMoments":
        """Return the moments of `rows`, shape (n, d), n >= 1, of which row i is of class `numbers[i]`."""
        sums = np.zeros((classes, rows.shape[1]))
        for number in np.unique(numbers):
            sums[number] = rows[numbers == number].sum(axis=0, dtype=np.float64)
        return cls(Moments.of(rows), np.bincount(numbers, minlength=classes), sums)

    def merge(self, other: "ClassMoments") -> "ClassMoments":
        """Return the moments of both sets of rows; associative up to rounding."""
        return ClassMoments(self.total.merge(other.total), self.counts + other.counts, self.sums + other.sums)

    @property
    def means(self) -> np.ndarray:
        """The mean of each class, shape (classes, d); zero for a class without rows."""
        means: np.ndarray = self.sums / np.maximum(self.counts, 1)[:, None]
        return means

    @property
    def within(self) -> np.ndarray:
        """The covariance within classes, shape (d, d): what is left of that of all rows without the spread of the means."""
        shifts = (self.means - self.total.mean) * np.sqrt(self.counts)[:, None]
        within: np.ndarray = (self.total.m2 - shifts.T @ shifts) / self.total.count
        return within
