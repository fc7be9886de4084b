"""Each engine gives the features that Keras gives."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from bootstrap.extractor import Extractor
from fruits.engines import BATCH_IMAGES, Engine, open_engine
from fruits.vision import decode
from fruits_contract.params import ENGINES


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, extractor: Extractor) -> Engine:
    return open_engine(request.param, extractor.path().read_bytes())


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 224, 224, 3)).astype(np.float32)


def test_features_are_those_of_keras(engine: Engine, reference_photos: Path) -> None:
    with np.load(reference_photos / "reference_features.npz") as reference:
        assert len(reference["keys"]) == 108
        keys, expected = reference["keys"][::5], reference["features"][::5]
    photos = np.stack([decode((reference_photos / str(key)).read_bytes())[0] for key in keys])
    parts = [engine.features(photos[start : start + BATCH_IMAGES]) for start in range(0, len(photos), BATCH_IMAGES)]
    features = np.concatenate(parts)
    assert np.abs(features - expected).max() <= 1e-3
    cosine = (features * expected).sum(axis=1) / np.linalg.norm(features, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() >= 0.99999


@pytest.mark.parametrize("count", [1, BATCH_IMAGES, 3])
def test_features_are_1280_float32_for_each_image(engine: Engine, count: int) -> None:
    features = engine.features(images(count))
    assert features.shape == (count, 1280)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert (features >= 0).all(), "MobileNetV2 ends in ReLU6"


def test_an_image_has_the_same_features_in_any_company(engine: Engine) -> None:
    both = engine.features(images(2))
    alone = engine.features(images(2)[1:])
    assert np.abs(both[1] - alone[0]).max() <= 1e-5


def test_earlier_features_are_not_overwritten_by_later_ones(engine: Engine) -> None:
    first = engine.features(images(2))
    kept = first.copy()
    engine.features(-images(2))
    assert (first == kept).all()


def test_the_name_says_engine_version_and_precision(extractor: Extractor) -> None:
    expected = f"litert-{version('ai-edge-litert')}-float32"
    assert open_engine("litert", extractor.path().read_bytes()).name == expected


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="engine 'onnx' is not known; expected one of litert"):
        open_engine("onnx", b"")
