"""The exported network gives the features that Keras gives, and nothing else is ever accepted as weights."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from release import contents, extractor, weights

PHOTOS = contents.ROOT.parent / "shared" / "fruits-360"


def test_other_weights_are_refused() -> None:
    with pytest.raises(weights.WrongWeights, match=f"tensor digest .* expected {weights.TENSOR_DIGEST}"):
        weights.check_tensors([np.zeros(3)], source="a test")


def test_tensor_digest_depends_on_values_and_order_only() -> None:
    first, second = np.arange(3, dtype=np.float32), np.ones((2, 2), dtype=np.float32)
    assert weights.tensor_digest([first, second]) == weights.tensor_digest([first.astype(">f8"), second[:, ::-1]])
    assert weights.tensor_digest([first, second]) != weights.tensor_digest([second, first])


def test_export_without_weights_is_refused() -> None:
    with pytest.raises(extractor.BadExport, match="188,000 bytes"):
        extractor.check_export(bytes(188_000))


def test_altered_or_unfinished_extractor_is_not_found(tmp_path: Path) -> None:
    assert extractor.find(tmp_path) is None
    card = {"digest": "0" * 64, "tensor_digest": "", "source": "", "tensorflow": "", "size_bytes": 1}
    (tmp_path / extractor.CARD).write_text(json.dumps(card))
    assert extractor.find(tmp_path) is None
    (tmp_path / f"{'0' * 64}.tflite").write_bytes(b"altered")
    assert extractor.find(tmp_path) is None


def test_an_extractor_of_before_there_was_a_keras_file_is_exported_again(tmp_path: Path) -> None:
    made = extractor.Extractor(hashlib.sha256(b"network").hexdigest(), "", "", "", 7)
    made.path(tmp_path).write_bytes(b"network")
    (tmp_path / extractor.CARD).write_text(json.dumps(asdict(made)))
    assert extractor.find(tmp_path) is None
    made.keras_path(tmp_path).write_bytes(b"keras")
    assert extractor.find(tmp_path) == made


@pytest.mark.slow
def test_features_are_those_of_keras() -> None:
    if not PHOTOS.is_dir():
        pytest.skip(f"{PHOTOS} with the reference features is not beside the checkout")
    from ai_edge_litert.interpreter import Interpreter
    from PIL import Image

    with np.load(PHOTOS / "reference_features.npz") as reference:
        keys, expected = reference["keys"][::9], reference["features"][::9]
    photos = [Image.open(PHOTOS / str(key)).convert("RGB").resize((224, 224)) for key in keys]
    images = np.stack([np.asarray(photo, dtype=np.float32) for photo in photos]) / 127.5 - 1
    network = Interpreter(model_path=str(extractor.ensure().path()))
    features = extractor._features(network, images)
    assert features.shape == (len(keys), 1280)
    assert np.abs(features - expected).max() <= 1e-4
