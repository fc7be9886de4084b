"""A map of photos on which neighbours stay neighbours (t-SNE), and the nearest neighbours themselves.

Imports neither Spark nor S3: arrays in, arrays out. The decision for openTSNE: docs/decisions/0020.
"""

import numpy as np

PERPLEXITY = 30
FEWEST_PHOTOS = 10  # of fewer, a map by neighbours says nothing
SEED = 0
# After these, more change nothing that trustworthiness measures (`make bench-embedding`).
EARLY_ITERATIONS, ITERATIONS = 100, 250


def embed(vectors: np.ndarray) -> np.ndarray | None:
    """Return t-SNE coordinates of `vectors`, shape (n, k), as shape (n, 2).

    None for fewer than `FEWEST_PHOTOS`, for a single component, and for vectors that are all equal.

    It starts from the first components, so that both maps look alike, and is the same each time.
    """
    if len(vectors) < FEWEST_PHOTOS or vectors.shape[1] < 2 or not np.ptp(vectors, axis=0).any():
        return None
    from openTSNE import TSNE  # on first use: it takes a second to load

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    tsne = TSNE(
        perplexity=perplexity,
        initialization="pca",
        neighbors="exact",
        early_exaggeration_iter=EARLY_ITERATIONS,
        n_iter=ITERATIONS,
        n_jobs=1,  # two threads wait for each other whenever another process uses one of their cores
        random_state=SEED,
    )
    return np.asarray(tsne.fit(vectors.astype(np.float64)))


def nearest_neighbours(vectors: np.ndarray, *, count: int) -> np.ndarray:
    """Return the numbers of the `count` nearest other vectors of each, nearest first, shape (n, min(count, n - 1))."""
    count = min(count, len(vectors) - 1)
    if count < 1:
        return np.empty((len(vectors), 0), np.int64)
    from sklearn.neighbors import NearestNeighbors

    # Without a query, a vector is not its own neighbour.
    found: np.ndarray = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(vectors).kneighbors(return_distance=False)
    return found


def trust(vectors: np.ndarray, mapped: np.ndarray, *, count: int) -> float | None:
    """Return how far neighbours on a map are neighbours in `vectors`, from 0 to 1; None for too few photos to say.

    References
    ----------
    Venna, Kaski (2001): trustworthiness, of the `count` nearest neighbours.
    """
    if len(vectors) <= 2 * count:
        return None
    from sklearn.manifold import trustworthiness

    return float(trustworthiness(vectors, mapped, n_neighbors=count))
