"""Large JPEGs are decoded by scaled DCT, within the bound that docs/decisions/0003 states."""

import numpy as np
import pytest
from PIL import Image

from fruits import vision
from fruits.engines import open_engine
from fruits.vision import decode
from release.extractor import Extractor
from tests.fixtures.photo_bytes import STORED_AS, encode, scene, turned


def phone_photo(seed: int, size: tuple[int, int] = (4000, 3000), **options: object) -> bytes:
    """A JPEG as a phone's: large shapes, fine structure down to two pixels, and noise."""
    draw = np.random.default_rng(seed)
    width, height = size
    layers = [
        np.asarray(Image.fromarray(draw.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC))
        for side in (5, 60, 1000)
    ]
    mixed = layers[0] * 0.6 + layers[1] * 0.3 + layers[2] * 0.1 + draw.normal(0, 6, (height, width, 1))
    return encode(Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8)), quality=90, **options)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}], ids=["4:2:0", "4:4:4", "progressive"])
def test_a_large_jpeg_by_scaled_dct_is_within_the_stated_bound(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch, extractor: Extractor
) -> None:
    # docs/decisions/0003 states the bound.
    content = phone_photo(3, **options)
    scaled, *size = decode(content)
    monkeypatch.setattr(vision, "SCALED_DCT_MARGIN", 1000)
    whole, *same = decode(content)
    assert size == same == [4000, 3000]
    difference = np.abs(scaled - whole)
    assert 0 < difference.mean() <= 0.005
    assert difference.max() <= 0.05
    engine = open_engine("litert", extractor.path().read_bytes())
    one, other = engine.features(scaled[None])[0], engine.features(whole[None])[0]
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) >= 0.999


@pytest.mark.parametrize("size", [(895, 895), (600, 2000), (100, 100)])
def test_a_jpeg_of_less_than_four_times_the_input_is_decoded_whole(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encode(scene(*size))
    image, *_ = decode(content)
    monkeypatch.setattr(vision, "SCALED_DCT_MARGIN", 1000)
    assert (image == decode(content)[0]).all()


@pytest.mark.parametrize("orientation", STORED_AS)
def test_a_large_turned_jpeg_keeps_the_size_of_the_stored_photo(orientation: int) -> None:
    _, width, height = decode(turned(orientation, scene(2001, 2000)))
    assert (width, height) == (2001, 2000)
