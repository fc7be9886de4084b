"""k-means on projections: clusters that know no variety, and how well they agree with the varieties.

Imports neither Spark nor S3: arrays in, arrays out.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

MAX_CLUSTERS = 256
RESTARTS = 4
SEED = 0


def fit_centers(vectors: np.ndarray, *, clusters: int) -> np.ndarray:
    """Fit k-means to `vectors`, shape (n, k), and return the centers, shape (c, k), float64.

    There are no more centers than `MAX_CLUSTERS` and than different vectors; none for no vector.
    """
    from sklearn.cluster import KMeans  # on first use: scikit-learn takes a second to load

    different = len(np.unique(vectors, axis=0))
    clusters = min(clusters, MAX_CLUSTERS, different)
    if not clusters:
        return np.empty((0, vectors.shape[1]))
    fitted = KMeans(clusters, n_init=RESTARTS, random_state=SEED).fit(vectors.astype(np.float64))
    centers: np.ndarray = fitted.cluster_centers_
    return centers


def nearest_centers(vectors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the number of the nearest center of each vector, shape (n,); of equally near ones the first."""
    # The squared length of the vector itself is the same for all centers.
    distances = np.square(centers).sum(axis=1) - 2 * (np.asarray(vectors, np.float64) @ centers.T)
    nearest: np.ndarray = distances.argmin(axis=1)
    return nearest


@dataclass(frozen=True)
class Contingency:
    """Number of photos by variety and cluster.

    Parameters
    ----------
    varieties : tuple of str, sorted
    counts : ndarray, shape (varieties, clusters), int64
    """

    varieties: tuple[str, ...]
    counts: np.ndarray

    @classmethod
    def of(cls, pairs: Counter[tuple[str, int]], *, clusters: int) -> "Contingency":
        """Arrange the number of photos by (variety, cluster)."""
        varieties = tuple(sorted({variety for variety, _ in pairs}))
        counts = np.zeros((len(varieties), clusters), np.int64)
        for (variety, cluster), count in pairs.items():
            counts[varieties.index(variety), cluster] = count
        return cls(varieties, counts)

    @property
    def purity(self) -> float | None:
        """Share of photos whose variety is the most frequent one of their cluster; None without photos."""
        photos = self.counts.sum()
        return float(self.counts.max(axis=0).sum() / photos) if photos else None

    @property
    def adjusted_rand_index(self) -> float | None:
        """Hubert and Arabie (1985): 1 for the same partition, about 0 for an unrelated one; None without photos."""
        photos = self.counts.sum()
        if not photos:
            return None
        together = _pairs(self.counts)
        same_variety, same_cluster = _pairs(self.counts.sum(axis=1)), _pairs(self.counts.sum(axis=0))
        expected = same_variety * same_cluster / _pairs(photos) if photos > 1 else 0.0
        largest = (same_variety + same_cluster) / 2
        return (together - expected) / (largest - expected) if largest != expected else 1.0

    @property
    def normalized_mutual_information(self) -> float | None:
        """Mutual information over the mean of both entropies, in [0, 1]; None without photos."""
        photos = self.counts.sum()
        if not photos:
            return None
        joint = self.counts / photos
        variety_entropy, cluster_entropy = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
        if not variety_entropy and not cluster_entropy:
            return 1.0
        mutual = variety_entropy + cluster_entropy - _entropy(joint)
        return float(max(mutual, 0.0) / ((variety_entropy + cluster_entropy) / 2))


def mixed_clusters(contingency: Contingency, *, smallest_share: float = 0.1) -> list[list[tuple[str, int]]]:
    """Return the clusters in which varieties fall together: (variety, photos) of each, most photos first.

    A variety counts in a cluster that has at least `smallest_share` of the variety's photos. Clusters with one such variety are
    left out; those with the most photos outside their first variety come first.
    """
    sizes = contingency.counts.sum(axis=1)
    mixed = []
    for column in contingency.counts.T:
        members = [
            (variety, int(count))
            for variety, count, size in zip(contingency.varieties, column, sizes, strict=True)
            if count and count >= smallest_share * size
        ]
        if len(members) > 1:
            mixed.append(sorted(members, key=lambda member: (-member[1], member[0])))
    return sorted(mixed, key=lambda members: -sum(count for _, count in members[1:]))


def _pairs(counts: np.ndarray) -> float:
    numbers = np.asarray(counts, np.float64)
    return float((numbers * (numbers - 1) / 2).sum())


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
