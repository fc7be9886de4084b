"""Maps vectors to two dimensions by one library; runs in .venv-peers for umap."""

import json
import sys
import time
from collections.abc import Callable

import numpy as np


def _ours() -> Callable[[np.ndarray], np.ndarray | None]:
    import openTSNE  # noqa: F401 - so that its import is timed

    from fruits.neighbours import embed

    return embed


def _opentsne_defaults() -> Callable[[np.ndarray], np.ndarray]:
    from openTSNE import TSNE

    return lambda vectors: np.asarray(TSNE(random_state=0, n_jobs=1).fit(vectors))


def _sklearn() -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.manifold import TSNE

    return lambda vectors: np.asarray(TSNE(init="pca", random_state=0, n_jobs=1).fit_transform(vectors))


def _umap() -> Callable[[np.ndarray], np.ndarray]:
    from umap import UMAP

    return lambda vectors: np.asarray(UMAP(random_state=0, n_jobs=1).fit_transform(vectors))


LIBRARIES = {"ours": _ours, "opentsne": _opentsne_defaults, "sklearn": _sklearn, "umap": _umap}


def main(library: str, vectors: str, out: str) -> None:
    """Map the vectors of one .npy file, shape (n, k), into another, shape (n, 2), and print the CPU seconds."""
    began = time.process_time()
    embed = LIBRARIES[library]()
    imported = time.process_time()
    mapped = embed(np.load(vectors).astype(np.float64))
    assert mapped is not None, "there are too few vectors"
    np.save(out, mapped)
    print(json.dumps({"import (CPU s)": imported - began, "map (CPU s)": time.process_time() - imported}))


if __name__ == "__main__":
    main(*sys.argv[1:])
