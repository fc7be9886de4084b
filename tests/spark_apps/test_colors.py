"""The colors of a photo are shares of a whole, whatever its size and orientation."""

import numpy as np
import pytest

from fruits.colors import COLOR_COUNT, SATURATIONS, VALUES, colors_of


def filled(red: int, green: int, blue: int) -> np.ndarray:
    image = np.empty((224, 224, 3), np.float32)
    image[:] = (red / 127.5 - 1, green / 127.5 - 1, blue / 127.5 - 1)
    return image


def bin_of(hue: int, saturation: int, value: int) -> int:
    return (hue * SATURATIONS + saturation) * VALUES + value


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ((255, 255, 255), bin_of(0, 0, 3)),
        ((0, 0, 0), bin_of(0, 0, 0)),
        ((255, 0, 0), bin_of(0, 3, 3)),
        ((0, 255, 0), bin_of(3, 3, 3)),  # Pillow's green has hue 85 of 256
        ((0, 0, 255), bin_of(7, 3, 3)),
    ],
)
def test_a_photo_of_one_color_has_one_bin(color: tuple[int, int, int], expected: int) -> None:
    colors = colors_of(filled(*color))
    assert (colors.shape, colors.dtype) == ((COLOR_COUNT,), np.float32)
    assert colors[expected] == 1
    assert colors.sum() == 1


def test_halves_are_halves_and_turning_changes_nothing() -> None:
    image = filled(255, 255, 255)
    image[:, :112] = filled(255, 0, 0)[:, :112]
    colors = colors_of(image)
    assert colors[bin_of(0, 3, 3)] == colors[bin_of(0, 0, 3)] == 0.5
    assert np.allclose(colors_of(np.rot90(image)), colors, atol=0.02)
