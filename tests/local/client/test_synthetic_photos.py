"""The synthetic set is always the same, looks like Fruits-360, and is called synthetic."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from local.client import synthetic_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of each variety."""
    folder = tmp_path_factory.mktemp("synthetic")
    synthetic_photos.generate(folder, per_variety=3)
    return folder


def test_folders_and_names_are_those_of_fruits_360(photos: Path) -> None:
    varieties = sorted(path.name for path in photos.iterdir())
    assert len(varieties) == 8
    assert all(name.startswith("Synthetic ") for name in varieties)
    assert sorted(path.name for path in (photos / varieties[0]).iterdir()) == ["0_100.jpg", "1_100.jpg", "2_100.jpg"]


def test_photos_are_100_pixels_rgb_on_white(photos: Path) -> None:
    for path in photos.glob("*/*.jpg"):
        with Image.open(path) as photo:
            assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (100, 100))
            pixels = np.asarray(photo)
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.min() > 245
        assert pixels[50, 50].max() < 250, f"no fruit in the middle of {path}"


def test_making_them_again_gives_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    synthetic_photos.generate(tmp_path, per_variety=3)
    for path in photos.glob("*/*.jpg"):
        assert (tmp_path / path.relative_to(photos)).read_bytes() == path.read_bytes()


def test_the_fruit_turns() -> None:
    apple = synthetic_photos.VARIETIES[0]
    front = synthetic_photos.view(apple, turn=0).astype(float)
    back = synthetic_photos.view(apple, turn=np.pi).astype(float)
    assert np.abs(front - back).mean() > 5
