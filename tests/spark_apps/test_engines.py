"""Each engine gives the features that Keras gives."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from fruits.engines import Engine, open_engine
from fruits.errors import EngineUnusable
from fruits.vision import decode
from fruits_contract import features_pipeline
from release.extractor import Extractor

ENGINES = ("litert", "openvino", "tensorflow")


def opened(name: str, extractor: Extractor) -> Engine:
    path = extractor.keras_path() if name == "tensorflow" else extractor.path()
    try:
        return open_engine(name, path.read_bytes())
    except EngineUnusable as error:
        pytest.skip(f"{name} cannot run here: {error}")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, extractor: Extractor) -> Engine:
    return opened(request.param, extractor)


def features_of(engine: Engine, photos: np.ndarray) -> np.ndarray:
    step = engine.batch_images
    return np.concatenate([engine.features(photos[start : start + step]) for start in range(0, len(photos), step)])


def test_every_engine_of_the_form_is_tested() -> None:
    assert set(features_pipeline.ENGINES) == {"auto", *ENGINES}


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 224, 224, 3)).astype(np.float32)


def test_features_are_those_of_keras(engine: Engine, reference_photos: Path) -> None:
    with np.load(reference_photos / "reference_features.npz") as reference:
        assert len(reference["keys"]) == 108
        keys, expected = reference["keys"][::5], reference["features"][::5]
    photos = np.stack([decode((reference_photos / str(key)).read_bytes())[0] for key in keys])
    features = features_of(engine, photos)
    assert np.abs(features - expected).max() <= 1e-3
    cosine = (features * expected).sum(axis=1) / np.linalg.norm(features, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() >= 0.99999


@pytest.mark.parametrize("count", [1, 8, 3])
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


@pytest.mark.parametrize("name", ENGINES)
def test_the_name_says_engine_version_and_precision(name: str, extractor: Extractor) -> None:
    package = {"litert": "ai-edge-litert", "openvino": "openvino", "tensorflow": "tensorflow-cpu"}[name]
    assert opened(name, extractor).name == f"{name}-{version(package)}-float32"


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="engine 'onnx' is not known; expected one of litert, openvino"):
        open_engine("onnx", b"")
