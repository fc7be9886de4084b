"""FastAPI with Keras's `predict`, as tutorials have it: `keras_service.py FOLDER PORT`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, File

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.contenders.photo_answer import PhotoAnswer


class KerasPredict:
    """Keras's own network by `predict`, with its own choice of threads."""

    name = "keras"
    batch_images = 1

    def __init__(self, file: Path) -> None:
        import keras

        self._network = keras.models.load_model(file, compile=False)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features, shape (n, 1280)."""
        features: np.ndarray = self._network.predict(images, verbose=0)
        return features


def create_app(folder: Path) -> FastAPI:
    """Return the application."""
    answers = PhotoAnswer(folder, engine=KerasPredict(folder / "extractor.keras"))
    app = FastAPI()

    @app.post("/predict")
    def predict(photo: Annotated[bytes, File()]) -> dict[str, Any]:
        return answers.answer(photo)

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
