"""Exports the feature extractor: MobileNetV2 without its classification layer as one .tflite file named by its sha256.

The same network in Keras's format lies beside it. Run as `python -m release.extractor`.
`release.upload` uploads what lies here.
"""

import argparse
import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / ".fruits" / "cache" / "extractor"
CARD = "extractor.json"

# An export without the weights succeeds silently and is 188 kB; the right one is 8.9 MB.
MIN_SIZE_BYTES = 8_000_000
BATCH_SIZES = (1, 8, 32)


class BadExport(RuntimeError):
    """The exported file does not do what the stages need of it."""


@dataclass(frozen=True)
class Extractor:
    """One exported extractor; `digest` is the sha256 of the file, `tensor_digest` that of the weights in it."""

    digest: str
    tensor_digest: str
    source: str
    tensorflow: str
    size_bytes: int

    def path(self, folder: Path = FOLDER) -> Path:
        """Return where the file lies."""
        return folder / f"{self.digest}.tflite"

    def keras_path(self, folder: Path = FOLDER) -> Path:
        """Return where the same network in Keras's format lies, for the reference engine."""
        return folder / f"{self.digest}.keras"


def find(folder: Path = FOLDER) -> Extractor | None:
    """Return the extractor that lies in `folder`, or None when there is none, an unfinished or an altered one."""
    try:
        known = Extractor(**json.loads((folder / CARD).read_text()))
        content = known.path(folder).read_bytes()
        known.keras_path(folder).stat()
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None
    return known if hashlib.sha256(content).hexdigest() == known.digest else None


def ensure(folder: Path = FOLDER) -> Extractor:
    """Return the extractor in `folder`, exporting it first when it is missing (about a minute)."""
    known = find(folder)
    return known if known else _export(folder)


def _export(folder: Path) -> Extractor:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"extractor: {text} ({time.monotonic() - started:.0f} s)", flush=True)

    say("loading TensorFlow")
    with _native_logs_kept():
        import tensorflow as tf

        from release import weights
    say("building MobileNetV2, looking for its weights")
    with _native_logs_kept():
        model, source = weights.build_network()
    say(f"weights from {source}, tensor digest as expected; exporting")
    with _native_logs_kept():
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        keras = _in_keras_format(model)
    say("checking the export")
    with _native_logs_kept():
        check_export(content)
    made = Extractor(
        digest=hashlib.sha256(content).hexdigest(),
        tensor_digest=weights.TENSOR_DIGEST,
        source=source,
        tensorflow=tf.__version__,
        size_bytes=len(content),
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write(made.path(folder), content)
    _write(made.keras_path(folder), keras)
    _write(folder / CARD, (json.dumps(asdict(made), indent=1) + "\n").encode())
    say(f"{len(content):,} bytes exported")
    return made


def _in_keras_format(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "extractor.keras"
        model.save(path)
        return path.read_bytes()


def check_export(content: bytes) -> None:
    """Raise `BadExport` unless the file holds weights and gives the same features in every batch size."""
    if len(content) < MIN_SIZE_BYTES:
        raise BadExport(
            f"the export has {len(content):,} bytes, expected more than {MIN_SIZE_BYTES:,}: it holds no weights. "
            "TensorFlow's converter has changed; go back to the version in requirements.txt."
        )
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    images = np.random.default_rng(0).uniform(-1, 1, (max(BATCH_SIZES), 224, 224, 3)).astype(np.float32)
    interpreter = Interpreter(model_content=content)
    results = {n: _features(interpreter, images[:n]) for n in BATCH_SIZES}
    whole = results[max(BATCH_SIZES)]
    for n, features in results.items():
        worst = float(np.abs(features - whole[:n]).max()) if features.shape == (n, 1280) else None
        if worst is None or worst > 1e-5:
            raise BadExport(
                f"for a batch of {n} the export gives an array {features.shape} that differs by {worst} from a batch "
                f"of {len(images)}; expected ({n}, 1280) and at most 1e-5. Go back to requirements.txt's TensorFlow."
            )


def _features(interpreter: Any, images: Any) -> Any:
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, list(images.shape))
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy()


def _write(path: Path, content: bytes) -> None:
    # Renaming is atomic: whoever reads the folder meanwhile sees the old file or the whole new one.
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    part = Path(file.name)
    part.chmod(0o644)
    part.replace(path)


@contextlib.contextmanager
def _native_logs_kept() -> Iterator[None]:
    """Hold back what TensorFlow's C++ code writes to the terminal, and show it only when the work fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {fd: os.dup(fd) for fd in (1, 2)}
    with tempfile.TemporaryFile() as noise:
        for fd in kept:
            os.dup2(noise.fileno(), fd)
        try:
            yield
        except BaseException:
            noise.seek(0)
            os.write(kept[2], noise.read())
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for fd, copy in kept.items():
                os.dup2(copy, fd)
                os.close(copy)


def main() -> None:
    """Export the extractor where it is missing and print its path."""
    parser = argparse.ArgumentParser(prog="python -m release.extractor", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="where it lies (default: %(default)s)")
    folder = parser.parse_args().out
    print(ensure(folder).path(folder))


if __name__ == "__main__":
    main()
