"""Which engine a run uses: the fastest that gives the reference's features on this node's CPU, by measurement.

It must not know Spark or S3: photos in, a choice out.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fruits.engines import Engine
from fruits.errors import EngineUnusable, TooFewImages
from fruits.pca import Moments, fit

REFERENCE = "litert"  # held to Keras's own features by a test, and able to run on every node
CANDIDATES = ("litert", "openvino", "openvino-bfloat16")
# Engines that compute in less than float32 are used only after a trial on the batch's own photos.
REDUCED_PRECISION = ("openvino-bfloat16",)

SAMPLE_PHOTOS = 128
MIN_PHOTOS = 32  # the share of variance that so few explain says nothing
MIN_COSINE = 0.999
VARIANCE = 0.70
ROUNDS = 4
WORTH_CHANGING = 1.05  # another engine than the reference must be so much faster: less is within the noise of the trial


@dataclass(frozen=True)
class Trial:
    """What one engine did on the sample.

    Parameters
    ----------
    name
        Engine, version and precision; the plain engine's word when it could not be opened.
    images_per_second
        On one thread, the network alone; median of the rounds.
    min_cosine
        Smallest cosine of a photo's features with the reference's.
    components
        How many components reach 70 % of the sample's variance.
    refused
        Why it cannot be used; empty when it can.
    """

    engine: str
    name: str
    images_per_second: float = 0.0
    min_cosine: float = 0.0
    components: int = 0
    refused: str = ""


def opening(name: str, *, open_engine: Callable[[str], Engine]) -> Trial:
    """Return a trial that only opens the engine: its name, or why it cannot be used."""
    try:
        return Trial(name, open_engine(name).name)
    except EngineUnusable as error:
        return Trial(name, name, refused=str(error))


def try_engines(candidates: Sequence[str], images: np.ndarray, *, open_engine: Callable[[str], Engine]) -> list[Trial]:
    """Run the candidates, and the reference first, over `images`, shape (n, 224, 224, 3), alternating in rounds.

    The machine's speed changes while they run; alternating lets every engine see the same of it.
    """
    if len(images) < MIN_PHOTOS:
        few = f"the batch has too few readable photos to judge by: {len(images)}, expected {MIN_PHOTOS} or more"
        return [
            opening(REFERENCE, open_engine=open_engine),
            *(Trial(it, it, refused=few) for it in candidates if it != REFERENCE),
        ]
    opened: dict[str, Engine] = {}
    refused: list[Trial] = []
    for name in dict.fromkeys((REFERENCE, *candidates)):
        try:
            opened[name] = open_engine(name)
        except EngineUnusable as error:
            refused.append(Trial(name, name, refused=str(error)))
    for engine in opened.values():  # the first call allocates and compiles
        engine.features(images[: engine.batch_images])
    seconds: dict[str, list[float]] = {name: [] for name in opened}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in opened}
    for part in np.array_split(images, ROUNDS):
        for name, engine in opened.items():
            began = time.perf_counter()
            parts[name].append(_features(engine, part))
            seconds[name].append((time.perf_counter() - began) / len(part))
    features = {name: np.concatenate(found) for name, found in parts.items()}
    expected = features[REFERENCE]
    tried = [
        _judged(name, engine, features[name], expected, images_per_second=1 / float(np.median(seconds[name])))
        for name, engine in opened.items()
    ]
    return tried + refused


def choose(trials: Sequence[Trial], *, asked: str) -> tuple[Trial, str]:
    """Return the engine to use and why; `asked` is an engine's name or `auto`.

    Raises
    ------
    EngineUnusable
        When the one that was asked for did not pass.
    """
    by_name = {trial.engine: trial for trial in trials}
    if asked != "auto":
        if by_name[asked].refused:
            raise EngineUnusable(f"engine {asked} cannot be used: {by_name[asked].refused}")
        return by_name[asked], "asked for"
    reference = by_name[REFERENCE]
    fastest = max((trial for trial in trials if not trial.refused), key=lambda trial: trial.images_per_second)
    if fastest.images_per_second > WORTH_CHANGING * reference.images_per_second:
        gain = fastest.images_per_second / reference.images_per_second
        return fastest, f"the fastest that passed parity: {gain:.2f} times {reference.name}"
    return reference, f"no engine that passed parity was more than {WORTH_CHANGING} times as fast"


def _features(engine: Engine, images: np.ndarray) -> np.ndarray:
    step = engine.batch_images
    return np.concatenate([engine.features(images[start : start + step]) for start in range(0, len(images), step)])


def _judged(name: str, engine: Engine, found: np.ndarray, expected: np.ndarray, *, images_per_second: float) -> Trial:
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = float(((found * expected).sum(axis=1) / np.where(lengths > 0, lengths, 1)).min())
    components, wanted = _components(found), _components(expected)
    refused = ""
    if not cosine >= MIN_COSINE:
        refused = f"cosine {cosine:.6f} with {REFERENCE}'s features; expected at least {MIN_COSINE}"
    elif components != wanted:
        refused = f"{components} components for {VARIANCE:.0%} of the variance; {REFERENCE} needs {wanted}"
    return Trial(name, engine.name, round(images_per_second, 1), round(cosine, 9), components, refused)


def _components(features: np.ndarray) -> int:
    try:
        return len(fit(Moments.of(features), variance=VARIANCE).components)
    except TooFewImages:  # all photos are the same
        return 0
