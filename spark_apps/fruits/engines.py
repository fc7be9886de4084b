"""Runs the network: images (n, 224, 224, 3) -> features (n, 1280); one class per engine.

Tests hold each engine to Keras's features within 1e-3, and `fruits.engine_trial` picks between them.
"""

import os
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple, Protocol

import numpy as np

from fruits.errors import EngineUnusable

FEATURE_COUNT = 1280


class Engine(Protocol):
    """Images in, features out, on one thread: a Spark task has one core.

    Parameters
    ----------
    name
        Engine, version and precision, as in manifests.
    batch_images
        How many images a call should hold; more would leave the CPU's cache and are no faster.
    """

    name: str
    batch_images: int

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features, shape (n, 1280), float32, of `images`, shape (n, 224, 224, 3), float32 in [-1, 1]."""


class LiteRT:
    """LiteRT with XNNPACK, float32."""

    batch_images = 1

    def __init__(self, model: bytes) -> None:
        # Imported here, as in every engine: a process loads only the one that it runs.
        from ai_edge_litert import interpreter

        self.name = engine_name("litert")
        self._interpreter = interpreter.Interpreter(model_content=model, num_threads=1)
        self._source = self._interpreter.get_input_details()[0]["index"]
        self._target = self._interpreter.get_output_details()[0]["index"]
        self._images = 0

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features; the interpreter is sized anew only when the number of images changes."""
        run = self._interpreter
        if len(images) != self._images:
            run.resize_tensor_input(self._source, images.shape)
            run.allocate_tensors()
            self._images = len(images)
        run.set_tensor(self._source, images)
        run.invoke()
        features: np.ndarray = run.get_tensor(self._target)
        return features


class OpenVino:
    """OpenVINO's CPU device, from the same .tflite file, float32."""

    batch_images = 4

    def __init__(self, model: bytes) -> None:
        self.name = engine_name("openvino")
        import openvino

        core = openvino.Core()
        # OpenVINO reads a .tflite from a file only.
        with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
            file.write(model)
            file.flush()
            network = core.read_model(file.name)
        self._run = core.compile_model(
            network,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": 1,
                "NUM_STREAMS": 1,
                # The tasks of an executor are separate processes: all would pin themselves to core 0.
                "ENABLE_CPU_PINNING": False,
                # By itself it computes in bfloat16 where the CPU can: cosines down to 0.95 with the float32 features.
                "INFERENCE_PRECISION_HINT": "f32",
            },
        ).create_infer_request()

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features, copied out of OpenVINO's own memory."""
        answer = self._run.infer({0: np.ascontiguousarray(images)}, share_inputs=True)
        return np.array(answer[0], dtype=np.float32)


class TensorFlow:
    """Keras's own network by TensorFlow, float32: the reference, slower than the others and large to install.

    `model` is the .keras file here, not the .tflite one.
    """

    batch_images = 32

    def __init__(self, model: bytes) -> None:
        self.name = engine_name("tensorflow")
        # By the environment: a process that has used TensorFlow before refuses the same by its API.
        for setting, value in _TENSORFLOW.items():
            os.environ.setdefault(setting, value)
        import tensorflow

        with tempfile.NamedTemporaryFile(suffix=".keras") as file:
            file.write(model)
            file.flush()
            network = tensorflow.keras.models.load_model(file.name, compile=False)
        self._run = tensorflow.function(lambda images: network(images, training=False))

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features; a new number of images is traced once."""
        features: np.ndarray = self._run(images).numpy()
        return features


_TENSORFLOW = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


class _Known(NamedTuple):
    open: Callable[[bytes], Engine]
    package: str


_ENGINES = {
    "litert": _Known(LiteRT, "ai-edge-litert"),
    "openvino": _Known(OpenVino, "openvino"),
    "tensorflow": _Known(TensorFlow, "tensorflow-cpu"),
}


def engine_name(name: str) -> str:
    """Return engine, version and precision, without opening it; the driver has the workers' packages."""
    package = _ENGINES[name].package
    try:
        return f"{name}-{version(package)}-float32"
    except PackageNotFoundError as error:
        raise EngineUnusable(
            f"{package} is not in the nodes' Python; use litert, openvino or auto, or a release made by "
            "`make release TENSORFLOW=1`"
        ) from error


def open_engine(name: str, model: bytes) -> Engine:
    """Open the engine called `name` on the bytes of the extractor's file.

    Raises
    ------
    EngineUnusable
        When this machine cannot run it, with the reason.
    """
    if name not in _ENGINES:
        raise ValueError(f"engine {name!r} is not known; expected one of {', '.join(_ENGINES)}")
    return _ENGINES[name].open(model)
