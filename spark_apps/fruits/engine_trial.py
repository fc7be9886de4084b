"""Picks the engine of a run: the fastest on this node's CPU whose features agree with the reference engine's."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fruits.engines import Engine
from fruits.errors import EngineUnusable

REFERENCE = "litert"  # held to Keras's own features by a test, and able to run on every node
CANDIDATES = ("litert", "openvino")

SAMPLE_PHOTOS = 128
MIN_PHOTOS = 32  # fewer take too short a time to compare engines by
MIN_COSINE = 0.999
ROUNDS = 4
WORTH_CHANGING = 1.05  # another engine than the reference must be this much faster: less is within the noise of the trial


@dataclass(frozen=True)
class Trial:
    """What one engine did on the sample.

    Parameters
    ----------
    name
        Engine, version and precision; the engine's plain name when it was not opened.
    images_per_second
        On one thread, the network alone; median of the rounds.
    min_cosine
        Smallest cosine of a photo's features with the reference's.
    refused
        Why it cannot be used; empty when it can.
    """

    engine: str
    name: str
    images_per_second: float = 0.0
    min_cosine: float = 0.0
    refused: str = ""


def try_engines(candidates: Sequence[str], images: np.ndarray, *, open_engine: Callable[[str], Engine]) -> list[Trial]:
    """Run the reference and the candidates over `images`, shape (n, 224, 224, 3), alternating in rounds.

    The machine's speed changes while they run; alternating lets every engine see the same of it.
    """
    opened = {REFERENCE: open_engine(REFERENCE)}
    others = [name for name in candidates if name != REFERENCE]
    if len(images) < MIN_PHOTOS:
        refused = f"the batch has too few readable photos to judge by: {len(images)}, expected {MIN_PHOTOS} or more"
        return [Trial(REFERENCE, opened[REFERENCE].name), *(Trial(name, name, refused=refused) for name in others)]
    unusable: list[Trial] = []
    for name in others:
        try:
            opened[name] = open_engine(name)
        except EngineUnusable as error:
            unusable.append(Trial(name, name, refused=str(error)))
    for engine in opened.values():  # the first call allocates and compiles
        engine.features(images[: engine.batch_images])
    seconds: dict[str, list[float]] = {name: [] for name in opened}
    features: dict[str, list[np.ndarray]] = {name: [] for name in opened}
    for part in np.array_split(images, ROUNDS):
        for name, engine in opened.items():
            began = time.perf_counter()
            features[name].append(_features(engine, part))
            seconds[name].append((time.perf_counter() - began) / len(part))
    expected = np.concatenate(features[REFERENCE])
    trials = []
    for name, engine in opened.items():
        cosine = _min_cosine(np.concatenate(features[name]), expected)
        refused = ""
        if not cosine >= MIN_COSINE:  # also where it is NaN
            refused = f"cosine {cosine:.6f} with {REFERENCE}'s features; expected at least {MIN_COSINE}"
        speed = 1 / float(np.median(seconds[name]))
        trials.append(Trial(name, engine.name, round(speed, 1), round(cosine, 9), refused))
    return trials + unusable


def choose(trials: Sequence[Trial]) -> tuple[Trial, str]:
    """Return the engine to use, and why."""
    reference = next(trial for trial in trials if trial.engine == REFERENCE)
    fastest = max((trial for trial in trials if not trial.refused), key=lambda trial: trial.images_per_second)
    if fastest.images_per_second > WORTH_CHANGING * reference.images_per_second:
        gain = fastest.images_per_second / reference.images_per_second
        return fastest, f"the fastest that passed parity: {gain:.2f} times {reference.name}"
    return reference, f"no engine that passed parity was more than {WORTH_CHANGING} times as fast"


def _features(engine: Engine, images: np.ndarray) -> np.ndarray:
    step = engine.batch_images
    return np.concatenate([engine.features(images[start : start + step]) for start in range(0, len(images), step)])


def _min_cosine(found: np.ndarray, expected: np.ndarray) -> float:
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(axis=1) / np.where(lengths > 0, lengths, 1)).min())
