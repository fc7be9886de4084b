"""make bench-copies: what colors, and rotated and mirrored copies, bring in accuracy, and what copies cost at prediction."""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks import command_line
from benchmarks.photo_classifier import split_of
from benchmarks.results import CORES, Results
from benchmarks.rounds import Samples, alternate
from fruits.class_moments import ClassMoments
from fruits.classifier import inputs_of
from fruits.colors import colors_of
from fruits.engines import FEATURE_COUNT, open_engine
from fruits.linear_fits import LinearScores, fit_lda
from fruits.vision import decode
from local.client.upload import find_photos
from local.console import say
from release import extractor

COPIES = (1, 4, 8)
TIMED_PHOTOS = 200


def copies_of(image: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the image, its three rotations, and the same of its mirror image; the first `count` of them."""
    turned = [np.rot90(side, turns) for side in (image, image[:, ::-1]) for turns in range(4)]
    return [np.ascontiguousarray(copy) for copy in turned[:count]]


def describe(model: Path, photos: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return features, shape (n, 8, 1280), and colors, shape (n, 192), of photos and their copies."""
    engine = open_engine("litert", model.read_bytes())
    features = np.empty((len(photos), max(COPIES), FEATURE_COUNT), np.float32)
    colors = []
    for number, photo in enumerate(photos):
        image = decode(photo.read_bytes())[0]
        colors.append(colors_of(image))
        for copy, turned in enumerate(copies_of(image, max(COPIES))):
            features[number, copy] = engine.features(turned[None])[0]
    return features, np.stack(colors)


def measure(arguments: argparse.Namespace) -> Results:
    """Compute the features of all copies once, then the accuracies, and time a prediction."""
    network = extractor.ensure().path()
    files, _ = find_photos(arguments.images, drop="bench")
    photos = [files[key] for key in sorted(files)]
    say(f"features of {len(photos):,} photos and their copies")
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        parts = [photos[start : start + 64] for start in range(0, len(photos), 64)]
        described = list(pool.map(partial(describe, network), parts))
    features = np.concatenate([part for part, _ in described])
    colors = np.concatenate([part for _, part in described])
    accuracies = _accuracies(photos, features, colors)
    timed = photos[:: max(len(photos) // TIMED_PHOTOS, 1)]
    rounds = alternate(
        {f"{count} copies": partial(_time, network, timed, count) for count in COPIES}, repetitions=arguments.repetitions
    )
    cost = rounds.ratio(("8 copies", "ms per photo"), ("1 copies", "ms per photo"))
    return Results(rounds, ratios={"accuracy": accuracies, "cost_of_copies": cost}, settings={"photos": len(photos)})


def _accuracies(photos: Sequence[Path], features: np.ndarray, colors: np.ndarray) -> dict[str, dict[str, dict[str, float]]]:
    labels = [photo.parent.name for photo in photos]
    varieties = sorted(set(labels))
    numbers = np.array([varieties.index(label) for label in labels])
    split = split_of(photos)
    is_test = np.array([split.is_held_out(photo.name, label) for photo, label in zip(photos, labels, strict=True)])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for inputs_name, shown in (("features", np.zeros_like(colors)), ("with_colors", colors)):
        inputs = [inputs_of(features[:, copy], shown) for copy in range(max(COPIES))]
        for training, count in (("photos", 1), ("copies", max(COPIES))):
            rows = np.concatenate([copy[~is_test] for copy in inputs[:count]])
            scores = fit_lda(ClassMoments.of(rows, np.tile(numbers[~is_test], count), classes=len(varieties)))
            found.setdefault(inputs_name, {})[f"trained_on_{training}"] = {
                f"{tested}_at_prediction": _accuracy(scores, [copy[is_test] for copy in inputs[:tested]], numbers[is_test])
                for tested in COPIES
            }
    return found


def _accuracy(scores: LinearScores, copies: Sequence[np.ndarray], numbers: np.ndarray) -> float:
    probabilities = 0.0
    for copy in copies:
        found = scores.of(copy)
        powers = np.exp(found - found.max(axis=1, keepdims=True))
        probabilities = probabilities + powers / powers.sum(axis=1, keepdims=True)
    return float((np.argmax(probabilities, axis=1) == numbers).mean())


def _time(model: Path, photos: Sequence[Path], count: int) -> Samples:
    engine = open_engine("litert", model.read_bytes())
    contents = [photo.read_bytes() for photo in photos]
    began = time.monotonic()
    for content in contents:
        for copy in copies_of(decode(content)[0], count):
            engine.features(copy[None])
    return {"ms per photo": (time.monotonic() - began) / len(photos) * 1000}


if __name__ == "__main__":
    sys.exit(command_line.main("copies", command_line.parser("copies", __doc__, images=True).parse_args(), measure))
