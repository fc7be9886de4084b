"""Features of photos in memory, for frameworks that have no decoder and no engine of their own."""

from collections.abc import Sequence

import numpy as np

from fruits.engines import FEATURE_COUNT, open_engine
from fruits.vision import SIZE_PX, decode


class PhotoFeatures:
    """LiteRT, loaded once per process, after the decoder of the stages: the resizing of Ray and Daft is not bicubic."""

    def __init__(self, model: bytes) -> None:
        self._engine = open_engine("litert", model)
        self._image = np.empty((1, SIZE_PX, SIZE_PX, 3), np.float32)

    def __call__(self, photos: Sequence[bytes]) -> np.ndarray:
        """Return the features, shape (n, 1280), float32."""
        features = np.empty((len(photos), FEATURE_COUNT), np.float32)
        for row, photo in enumerate(photos):
            decode(photo, out=self._image[0])
            features[row] = self._engine.features(self._image)[0]
        return features
