"""What runs the network: images (n, 224, 224, 3) -> features (n, 1280).

One small interface per engine; it must not know where images come from. A parity test holds each engine to Keras's features.
"""

from typing import Protocol

import numpy as np

FEATURES = 1280
BATCH_IMAGES = 8


class Engine(Protocol):
    """Images in, features out."""

    name: str

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features, shape (n, 1280), float32, of `images`, shape (n, 224, 224, 3), float32 in [-1, 1]."""


class LiteRT:
    """LiteRT with XNNPACK, float32, one thread: a Spark task has one core."""

    def __init__(self, model: bytes) -> None:
        # Imported here, because only the workers' Python has it loaded; the driver never runs the network.
        from ai_edge_litert import interpreter

        self.name = f"litert-{_version('ai-edge-litert')}-float32"
        self._interpreter = interpreter.Interpreter(model_content=model, num_threads=1)
        self._images = 0

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features; the interpreter is sized anew only when the number of images changes."""
        run = self._interpreter
        source, target = run.get_input_details()[0]["index"], run.get_output_details()[0]["index"]
        if len(images) != self._images:
            run.resize_tensor_input(source, images.shape)
            run.allocate_tensors()
            self._images = len(images)
        run.set_tensor(source, images)
        run.invoke()
        features: np.ndarray = run.get_tensor(target)
        return features


def open_engine(name: str, model: bytes) -> Engine:
    """Open the engine called `name` on the bytes of the extractor's .tflite file."""
    engines = {"litert": LiteRT}
    if name not in engines:
        raise ValueError(f"engine {name!r} is not known; expected one of {', '.join(engines)}")
    return engines[name](model)


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)
