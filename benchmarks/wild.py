"""make bench-wild: what the classifier says to fruits from other cameras, on white and on other photos, and to no fruit.

The fruits are photos with a transparent background, one per file, as in Debian's package tuxpaint-stamps-default; the backgrounds
are photos, as in mate-backgrounds.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import command_line, photo_classifier
from benchmarks.commands import CannotMeasure
from benchmarks.results import Results
from benchmarks.rounds import Rounds
from fruits import taxonomy
from fruits.classifier import Classifier
from fruits.held_out import is_for_calibration
from fruits.vision import SIZE_PX
from local.client.upload import find_photos
from local.console import say
from release import extractor

CUTOUTS = Path("/usr/share/tuxpaint/stamps/food")
BACKGROUNDS = Path("/usr/share/backgrounds/mate/nature")
FRUIT_SHARE = 0.75  # of a photo's side
CROPS = 3  # of each background


@dataclass(frozen=True)
class Question:
    """A photo, and the fruit that is on it; '' for none."""

    photo: Image.Image
    fruit: str

    def image(self) -> np.ndarray:
        """Return the network's input, as `fruits.vision.decode` does."""
        return np.asarray(self.photo.resize((SIZE_PX, SIZE_PX)), np.float32) / 127.5 - 1


def on_white(cutout: Image.Image) -> Image.Image:
    """Return the fruit as in Fruits-360: it fills the photo, on white."""
    side = max(cutout.size)
    photo = Image.new("RGBA", (side, side), "white")
    photo.alpha_composite(cutout, ((side - cutout.width) // 2, (side - cutout.height) // 2))
    return photo.convert("RGB")


def on_background(cutout: Image.Image, background: Image.Image) -> Image.Image:
    """Return the fruit in the middle of a square photo of something else."""
    photo = background.resize((SIZE_PX, SIZE_PX)).convert("RGBA")
    fruit = cutout.copy()
    scale = FRUIT_SHARE * SIZE_PX / max(fruit.size)
    fruit = fruit.resize((max(round(fruit.width * scale), 1), max(round(fruit.height * scale), 1)))
    photo.alpha_composite(fruit, ((SIZE_PX - fruit.width) // 2, (SIZE_PX - fruit.height) // 2))
    return photo.convert("RGB")


def crops(background: Path) -> list[Image.Image]:
    """Return square parts of a photo, from its left to its right."""
    with Image.open(background) as opened:
        photo = opened.convert("RGB")
    side = min(photo.size)
    lefts = np.linspace(0, photo.width - side, CROPS).astype(int).tolist()
    return [photo.crop((left, 0, left + side, side)) for left in lefts]


def measure(arguments: argparse.Namespace) -> Results:
    """Train on the folder as usual, then ask for each kind of photo."""
    cutouts = _files(arguments.cutouts, "*.png", package="tuxpaint-stamps-default")
    backgrounds = _files(arguments.backgrounds, "*.jpg", package="mate-backgrounds")
    network = extractor.ensure()
    files, _ = find_photos(arguments.images, drop="bench")
    photos = [files[key] for key in sorted(files)]
    say(f"training on {len(photos):,} photos")
    began = time.monotonic()
    rows = photo_classifier.read_photos(photos, network=network.path())
    split = photo_classifier.split_of(photos)
    is_held_out = np.array([split.is_held_out(photo.name, photo.parent.name) for photo in photos])
    held_out = rows.where(is_held_out)
    classifier = photo_classifier.fit(rows.where(~is_held_out), held_out, extractor=network.digest)
    seconds = time.monotonic() - began

    known = set(classifier.heads["fruit"].classes)
    scenes = [crop for path in backgrounds for crop in crops(path)]
    asked: dict[str, list[Question]] = {"no_fruit": [Question(scene, "") for scene in scenes]}
    for path in cutouts:
        fruit = taxonomy.load().meaning_of(path.stem.replace("_", " ")).fruit
        kind = "known_fruit" if fruit in known else "other_fruit"
        with Image.open(path) as opened:
            cutout = opened.convert("RGBA")
        asked.setdefault(f"{kind}_on_white", []).append(Question(on_white(cutout), fruit))
        composed = [Question(on_background(cutout, scene), fruit) for scene in scenes]
        asked.setdefault(f"{kind}_on_background", []).extend(composed)

    tested = held_out.where(np.array([not is_for_calibration(path) for path in held_out.paths]))
    meanings = [taxonomy.load().meaning_of(label).fruit for label in tested.labels]
    shares = {"held_out": _shares(classifier, tested.inputs, meanings)}
    for kind, questions in sorted(asked.items()):
        inputs = photo_classifier.inputs_of_images(network.path().read_bytes(), [question.image() for question in questions])
        shares[kind] = _shares(classifier, inputs, [question.fruit for question in questions])
    return Results(
        Rounds({"training": {"s": [seconds]}}),
        ratios=shares,
        settings={"photos": len(photos), **{kind: len(questions) for kind, questions in sorted(asked.items())}},
    )


def _shares(classifier: Classifier, inputs: np.ndarray, fruits: Sequence[str]) -> dict[str, float]:
    """Return the share of each verdict, and of fruits that are right whatever the verdict."""
    probabilities = classifier.probabilities(inputs)
    of_fruits = probabilities["fruit"]
    names = classifier.heads["fruit"].classes
    is_right = np.array([names[number] == fruit for number, fruit in zip(of_fruits.argmax(axis=1), fruits, strict=True)])
    is_unknown = classifier.familiarity.distances(inputs) > classifier.familiarity.unknown_above
    likeliest = np.minimum(of_fruits.max(axis=1), probabilities["variety"].max(axis=1))
    is_sure = ~is_unknown & (likeliest >= classifier.sure_above)
    return {
        "unknown": float(is_unknown.mean()),
        "not_sure": float((~is_unknown & ~is_sure).mean()),
        "sure_and_right": float((is_sure & is_right).mean()),
        "sure_and_wrong": float((is_sure & ~is_right).mean()),
        "right_whatever_the_verdict": float(is_right.mean()),
    }


def _files(folder: Path, pattern: str, *, package: str) -> list[Path]:
    found = sorted(path for path in folder.rglob(pattern) if "cartoon" not in path.parts)
    if not found:
        raise CannotMeasure(f"no {pattern} below {folder}; on Debian: apt-get install {package}, or name a folder of your own")
    return found


if __name__ == "__main__":
    parser = command_line.parser("wild", __doc__, images=True, repetitions=1)
    parser.add_argument("--cutouts", type=Path, default=CUTOUTS, metavar="DIR", help="PNG files of fruits (default: %(default)s)")
    parser.add_argument("--backgrounds", type=Path, default=BACKGROUNDS, metavar="DIR", help="photos (default: %(default)s)")
    sys.exit(command_line.main("wild", parser.parse_args(), measure))
