"""Makes a small set of synthetic photos in the form of Fruits-360, for a first run without data.

Every variety's name begins with "Synthetic", so that nobody takes its figures for figures of fruit.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIZE_PX = 100
PREFIX = "Synthetic "

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Variety:
    """How one variety looks.

    Parameters
    ----------
    body, blush
        Colours of the shaded and of the sunny side; the blush turns away as the fruit rotates.
    width, height
        Half axes in units of half the picture.
    taper
        How much narrower the top is than the bottom (a pear), -1 to 1.
    bend
        How far the ends lie beside the middle (a banana).
    speckle
        Strength of the spots on the skin, 0 to 1.
    stem
        Length of the stem in units of half the picture.
    """

    name: str
    body: Colour
    blush: Colour
    width: float
    height: float
    taper: float = 0.0
    bend: float = 0.0
    speckle: float = 0.1
    stem: float = 0.2


VARIETIES = (
    Variety("Apple", (190, 190, 60), (190, 30, 40), 0.82, 0.78, taper=-0.12, speckle=0.15, stem=0.22),
    Variety("Banana", (235, 205, 60), (200, 180, 80), 0.30, 0.92, bend=0.42, speckle=0.25, stem=0.0),
    Variety("Cherry", (110, 10, 25), (170, 20, 40), 0.62, 0.60, speckle=0.0, stem=0.45),
    Variety("Kiwi", (115, 85, 45), (140, 110, 60), 0.66, 0.82, speckle=0.6, stem=0.0),
    Variety("Lemon", (240, 215, 50), (225, 220, 90), 0.62, 0.88, speckle=0.2, stem=0.05),
    Variety("Orange", (240, 140, 20), (250, 165, 50), 0.86, 0.86, speckle=0.35, stem=0.03),
    Variety("Pear", (175, 190, 70), (200, 160, 70), 0.72, 0.92, taper=0.45, speckle=0.3, stem=0.2),
    Variety("Plum", (70, 40, 110), (110, 60, 130), 0.66, 0.78, taper=0.08, speckle=0.1, stem=0.12),
)


def generate(folder: Path, per_variety: int = 75) -> None:
    """Write `per_variety` photos of each variety, `<folder>/Synthetic <name>/<frame>_100.jpg`; always the same."""
    for variety in VARIETIES:
        variety_folder = folder / f"{PREFIX}{variety.name}"
        variety_folder.mkdir(parents=True, exist_ok=True)
        for frame in range(per_variety):
            photo = view(variety, turn=2 * np.pi * frame / per_variety, frame=frame)
            Image.fromarray(photo).save(variety_folder / f"{frame}_100.jpg", quality=90)


def view(variety: Variety, *, turn: float, frame: int = 0) -> np.ndarray:
    """Draw the fruit turned by `turn` (radians) about its own axis.

    Returns
    -------
    ndarray, shape (SIZE_PX, SIZE_PX, 3), uint8
        RGB on white.
    """
    # crc32 rather than hash(): the same on every machine and in every process.
    fruit = np.random.default_rng(zlib.crc32(variety.name.encode()))
    shot = np.random.default_rng((zlib.crc32(variety.name.encode()), frame))
    across, up, inside = _shape(variety, tilt=0.25 * np.sin(turn) + shot.normal(0, 0.03), scale=shot.uniform(0.93, 1.0))

    depth = np.sqrt(np.clip(1 - across**2 - up**2, 0, 1))
    longitude = np.arctan2(across, depth) + turn
    skin = _skin(variety, longitude, up, fruit)
    light = np.clip(0.45 + 0.35 * depth - 0.28 * across + 0.25 * up, 0.15, 1.1)
    highlight = np.exp(-((across + 0.38) ** 2 + (up - 0.42) ** 2) / 0.02)
    picture = skin * light[..., None] + 150 * highlight[..., None] * (1 - variety.speckle)
    picture += shot.normal(0, 2.5, picture.shape)

    alpha = inside[..., None]
    white = np.full_like(picture, 255.0)
    picture = alpha * picture + (1 - alpha) * _with_stem(white, variety, turn)
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(SIZE_PX) + 0.5) / (SIZE_PX / 2) - 1
    x, y = np.meshgrid(axis, -axis)
    return x, y


def _shape(variety: Variety, *, tilt: float, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coordinates on the fruit (its outline is the unit circle) and how much of each pixel it covers, 0 to 1."""
    x, y = _grid()
    u = (x * np.cos(tilt) + y * np.sin(tilt)) / scale
    v = (y * np.cos(tilt) - x * np.sin(tilt)) / scale
    up = v / variety.height
    across = (u + variety.bend * (up**2 - 0.5)) / (variety.width * (1 - variety.taper * up))
    radius = np.hypot(across, up)
    # A soft edge one pixel wide instead of stairs.
    covered = np.clip((1 - radius) * SIZE_PX / 2 * min(variety.width, variety.height) + 0.5, 0, 1)
    return across, up, covered


def _skin(variety: Variety, longitude: np.ndarray, up: np.ndarray, fruit: np.random.Generator) -> np.ndarray:
    """Return the colour of each pixel; fixed to the fruit, so that it moves as the fruit turns."""
    sunny = 0.5 + 0.5 * np.cos(longitude + 0.6 * up)
    body, blush = np.array(variety.body, float), np.array(variety.blush, float)
    colour = body + (blush - body) * sunny[..., None]
    spots = np.zeros_like(up)
    for _ in range(14):
        around, along = fruit.integers(1, 12), fruit.uniform(2, 14)
        spots += np.sin(around * longitude + along * up + fruit.uniform(0, 2 * np.pi))
    return np.asarray(colour * (1 + variety.speckle * 0.12 * spots[..., None]))


def _with_stem(background: np.ndarray, variety: Variety, turn: float) -> np.ndarray:
    if not variety.stem:
        return background
    x, y = _grid()
    foot = variety.height * 0.85
    along = (y - foot) / (variety.stem + 0.15)
    beside = np.abs(x - 0.25 * np.cos(turn) * variety.stem * np.clip(along, 0, 1) + variety.bend * 0.5)
    on_stem = (along > 0) & (along < 1) & (beside < 0.045)
    return np.where(on_stem[..., None], np.array([90.0, 65.0, 35.0]), background)
