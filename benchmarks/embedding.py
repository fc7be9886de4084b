"""make bench-embedding, which library draws the map of the report: trustworthiness, CPU seconds and size of openTSNE and UMAP."""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.manifold import trustworthiness

from benchmarks import command_line, commands, photo_classifier
from benchmarks.commands import CannotMeasure
from benchmarks.results import REPO, Results
from benchmarks.rounds import Samples, alternate
from fruits.engines import FEATURE_COUNT
from fruits.pca import Moments, fit
from fruits.photo_map import NEIGHBOURS
from local.client.upload import find_photos
from local.console import say
from release import extractor

PEERS = REPO / ".venv-peers" / "bin" / "python"
CONTENDERS = {
    "openTSNE, 350 iterations": ("ours", Path(sys.executable)),
    "openTSNE, its defaults": ("opentsne", Path(sys.executable)),
    "scikit-learn's TSNE": ("sklearn", Path(sys.executable)),
    "UMAP": ("umap", PEERS),
}
# What each adds to an environment that has scikit-learn.
PACKAGES = {
    "openTSNE": (Path(sys.executable), ["openTSNE"]),
    "UMAP": (PEERS, ["umap", "pynndescent", "numba", "llvmlite"]),
}
TRUST, SECONDS = "trustworthiness", "map (CPU s)"


def measure(arguments: argparse.Namespace) -> Results:
    """Project the photos as a run does, and map a sample of them with each library."""
    if not PEERS.exists():
        raise CannotMeasure("UMAP needs .venv-peers; use `make bench-embedding`, which makes it")
    network = extractor.ensure()
    files, _ = find_photos(arguments.images, drop="bench")
    photos = [files[key] for key in sorted(files)]
    say(f"features of {len(photos):,} photos")
    # A classifier reads the square roots of the features.
    features = np.square(photo_classifier.read_photos(photos, network=network.path()).inputs[:, :FEATURE_COUNT])
    projected = fit(Moments.of(features)).transform(features).astype(np.float32)
    sample = np.random.default_rng(0).permutation(projected)[: arguments.photos]
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "vectors.npy"
        np.save(vectors, sample)
        contenders = {name: partial(_map, vectors, *contender) for name, contender in CONTENDERS.items()}
        rounds = alternate(contenders, repetitions=arguments.repetitions)
    ours, umap = "openTSNE, 350 iterations", "UMAP"
    trust = {"opentsne": rounds.median(ours, TRUST), "umap": rounds.median(umap, TRUST), "first_two_components": _trust(sample)}
    return Results(
        rounds,
        ratios={"trust": trust, "umap_time": rounds.ratio((umap, SECONDS), (ours, SECONDS))},
        settings={"photos": len(sample), "components": sample.shape[1], "neighbours": NEIGHBOURS},
        checks={"installed size (MB)": {name: _size_mb(*packages) for name, packages in PACKAGES.items()}},
    )


def _trust(sample: np.ndarray) -> float:
    return float(trustworthiness(sample, sample[:, :2], n_neighbors=NEIGHBOURS))


def _map(vectors: Path, library: str, python: Path) -> Samples:
    out = vectors.with_name(f"{library}.npy")
    env = {"PYTHONPATH": f"{REPO}:{REPO / 'spark_apps'}:{REPO / 'plugins'}"}
    done = commands.run([str(python), "-m", "benchmarks.contenders.map_embedding", library, str(vectors), str(out)], env)
    trust = float(trustworthiness(np.load(vectors), np.load(out), n_neighbors=NEIGHBOURS))
    return {TRUST: trust, **done.result, "whole process (s)": done.seconds}


def _size_mb(python: Path, packages: list[str]) -> float:
    (site,) = (python.parents[1] / "lib").glob("python3*/site-packages")
    files = [file for name in packages for folder in site.glob(f"{name}*") for file in folder.rglob("*") if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 1e6, 1)


if __name__ == "__main__":
    parser = command_line.parser("embedding", __doc__, images=True, photos=2500, repetitions=3)
    sys.exit(command_line.main("embedding", parser.parse_args(), measure))
