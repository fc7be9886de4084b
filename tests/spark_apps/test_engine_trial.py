"""The engine of a run: the fastest that agrees with the reference, never one that does not."""

import time

import numpy as np

from fruits import engine_trial
from fruits.engine_trial import Trial, choose, try_engines
from fruits.engines import Engine
from fruits.errors import EngineUnusable

IMAGES = np.random.default_rng(0).uniform(-1, 1, (40, 8, 8, 3)).astype(np.float32)


class Fake:
    """An engine whose features are the images' own values, with noise, after a pause."""

    batch_images = 4

    def __init__(self, name: str, *, noise: float = 0.0, pause_s: float = 0.0) -> None:
        self.name, self._noise, self._pause_s = f"{name}-1.0", noise, pause_s

    def features(self, images: np.ndarray) -> np.ndarray:
        time.sleep(self._pause_s * len(images))
        flat = images.reshape(len(images), -1)
        return flat + self._noise * np.random.default_rng(1).standard_normal(flat.shape).astype(np.float32)


def tried(**engines: Engine | EngineUnusable) -> dict[str, Trial]:
    def opened(name: str) -> Engine:
        found = engines[name]
        if isinstance(found, EngineUnusable):
            raise found
        return found

    return {trial.engine: trial for trial in try_engines(list(engines), IMAGES, open_engine=opened)}


def test_auto_takes_the_fastest_that_agrees() -> None:
    trials = tried(litert=Fake("litert", pause_s=0.002), openvino=Fake("openvino"), slow=Fake("slow", pause_s=0.004))
    chosen, why = choose(list(trials.values()))
    assert chosen.name == "openvino-1.0"
    assert why.startswith("the fastest that passed parity: ")


def test_auto_never_takes_a_fast_one_that_does_not_agree() -> None:
    trials = tried(litert=Fake("litert", pause_s=0.002), wrong=Fake("wrong", noise=0.5))
    assert trials["wrong"].min_cosine < engine_trial.MIN_COSINE
    assert "expected at least 0.999" in trials["wrong"].refused
    assert choose(list(trials.values()))[0].engine == "litert"


def test_auto_stays_with_the_reference_for_a_gain_within_the_noise() -> None:
    trials = [Trial("litert", "litert-1", 100, 1), Trial("openvino", "openvino-1", 104, 1)]
    chosen, why = choose(trials)
    assert (chosen.engine, why) == ("litert", "no engine that passed parity was more than 1.05 times as fast")


def test_an_engine_that_cannot_be_opened_is_left_out_with_the_reason() -> None:
    trials = tried(litert=Fake("litert"), other=EngineUnusable("it is not in the nodes' Python"))
    assert trials["other"].refused == "it is not in the nodes' Python"
    assert choose(list(trials.values()))[0].engine == "litert"


def test_too_few_photos_are_no_trial() -> None:
    trials = try_engines(["openvino"], IMAGES[:5], open_engine=lambda name: Fake(name))
    assert choose(trials)[0].name == "litert-1.0"
    assert trials[1].refused == "the batch has too few readable photos to judge by: 5, expected 32 or more"
