"""Decides which photos a classifier is not trained on, so that what it is tested on is not a near copy of what it has seen.

Fruits-360 photos are frames of a turning fruit: neighbouring frames are almost the same picture. A random split puts such
neighbours on both sides, and flatters. So a whole rotation axis of each variety is held out. The choice depends on names alone:
the same photos are held out from every classifier that is trained on them. Photos of a later drop can move it: a new last axis
is held out from then on, although earlier classifiers were trained on the one before.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# Frames of Fruits-360: <frame>_100.jpg, r_<frame>_100.jpg, r0_, r1_, r2_ ...; the prefix names the rotation axis. In its original
# size: r0_<frame>.jpg. Names of cameras, such as 20231005_143015.jpg, are none.
_FRAME = re.compile(r"(?:(?P<axis>r\d?)_)?(?P<frame>\d+)_100\.\w+|(?P<whole_axis>r\d)_(?P<whole_frame>\d+)\.\w+")
# Copies of one photo in "Fruits fresh and rotten for classification" and others: they stay on the side of their original.
_COPY = re.compile(r"^(rotated_by_\d+_|translation_|saltandpepper_|vertical_flip_|horizontal_flip_|flip_|noise_)+", re.IGNORECASE)
SHARE = 4  # without rotation axes, a quarter is held out


class Frame(NamedTuple):
    """The rotation axis of a photo and its number on it."""

    axis: str
    number: int


def frame_of(path: str) -> Frame | None:
    """Return the frame that a photo's name states; None for a photo that is no frame of a rotation."""
    match = _FRAME.fullmatch(path.rsplit("/", 1)[-1])
    if match is None:
        return None
    return Frame(match["axis"] or match["whole_axis"] or "", int(match["frame"] or match["whole_frame"]))


def is_in_share(path: str) -> bool:
    """Return whether a photo that is no frame is held out: a quarter of the originals, each with its copies."""
    original = _COPY.sub("", path.rsplit("/", 1)[-1])
    return hashlib.sha256(original.encode()).digest()[0] % SHARE == 0


@dataclass(frozen=True)
class NameCounts:
    """What a split needs to know of the names of one label's photos; adds up over files.

    Parameters
    ----------
    photos
        Number of photos, and of those that are no frames and not in the share.
    frames
        The smallest and the largest frame number on each axis.
    """

    photos: int = 0
    kept: int = 0
    frames: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: Iterable[str]) -> "NameCounts":
        """Return the counts of some photos of one label."""
        photos = kept = 0
        frames: dict[str, tuple[int, int]] = {}
        for path in paths:
            photos += 1
            frame = frame_of(path)
            if frame:
                frames[frame.axis] = _widened(frames.get(frame.axis), (frame.number, frame.number))
            elif not is_in_share(path):
                kept += 1
        return cls(photos, kept, frames)

    def merge(self, other: "NameCounts") -> "NameCounts":
        """Return the counts of both."""
        frames = dict(self.frames)
        for axis, found in other.frames.items():
            frames[axis] = _widened(frames.get(axis), found)
        return NameCounts(self.photos + other.photos, self.kept + other.kept, frames)


def _widened(known: tuple[int, int] | None, found: tuple[int, int]) -> tuple[int, int]:
    return (min(known[0], found[0]), max(known[1], found[1])) if known else found


@dataclass(frozen=True)
class Split:
    """Holds out the last rotation axis of each label, or the last quarter of the frames of a label with a single axis."""

    labels: Mapping[str, NameCounts]

    def is_held_out(self, path: str, label: str) -> bool:
        """Return whether a photo is for testing only."""
        names = self.labels[label]
        frame = frame_of(path)
        if frame is None:
            has_others = names.kept > 0 or bool(names.frames)
            return has_others and is_in_share(path)
        if len(names.frames) > 1:
            return frame.axis == max(names.frames)
        first, last = names.frames[frame.axis]
        return frame.number > last - (last - first) / SHARE


@dataclass(frozen=True)
class RandomSplit:
    """A quarter of all photos at random, neighbours on both sides: only to state by how much it flatters."""

    def is_held_out(self, path: str, label: str) -> bool:
        """Return whether a photo is for testing only."""
        return hashlib.sha256(path.encode()).digest()[1] % SHARE == 0


def is_for_calibration(path: str) -> bool:
    """Return whether a held-out photo is of the half on which probabilities are calibrated; the other half tests them."""
    return hashlib.sha256(path.encode()).digest()[2] % 2 == 0
