"""What each serving contender does with a photo, in one process: decode, network, colors, classifier."""

from pathlib import Path
from typing import Any

import numpy as np

from fruits.classifier import Classifier, inputs_of
from fruits.colors import colors_of
from fruits.engines import Engine, open_engine
from fruits.vision import decode


class PhotoAnswer:
    """A classifier and an engine; `engine` replaces LiteRT."""

    def __init__(self, folder: Path, *, engine: Engine | None = None) -> None:
        self._classifier = Classifier.from_bytes((folder / "classifier.npz").read_bytes())
        self._engine = engine or open_engine("litert", (folder / "extractor.tflite").read_bytes())

    def answer(self, content: bytes) -> dict[str, Any]:
        """Return the variety on a photo."""
        image = decode(content)[0]
        features = self._engine.features(image[None])
        probabilities = self._classifier.probabilities(inputs_of(features, colors_of(image)[None]))["variety"][0]
        number = int(np.argmax(probabilities))
        return {
            "variety": {"name": self._classifier.heads["variety"].classes[number], "probability": float(probabilities[number])}
        }
