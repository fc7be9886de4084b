"""A classifier of a folder of photos, fitted in this process by the project's own modules, without Spark or a bucket."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.results import CORES
from fruits import taxonomy
from fruits.class_moments import ClassMoments
from fruits.classifier import Classifier, inputs_of
from fruits.colors import colors_of
from fruits.engines import open_engine
from fruits.held_out import NameCounts, Split
from fruits.labelled_rows import LabelledRows
from fruits.linear_fits import fit_familiarity, fit_lda
from fruits.method_choice import calibrated, calibration_half, heads_of
from fruits.vision import decode

SURE_ABOVE = 0.8
BATCH = 64


def split_of(photos: Sequence[Path]) -> Split:
    """Return the split that a training makes of these photos."""
    names: dict[str, list[str]] = {}
    for photo in photos:
        names.setdefault(photo.parent.name, []).append(photo.name)
    return Split({variety: NameCounts.of(found) for variety, found in names.items()})


def inputs_of_images(model: bytes, images: Sequence[np.ndarray]) -> np.ndarray:
    """Return the classifier's inputs, shape (n, 1472), of decoded photos."""
    engine = open_engine("litert", model)
    features = np.concatenate([engine.features(image[None]) for image in images])
    return inputs_of(features, np.stack([colors_of(image) for image in images]))


def read_photos(photos: Sequence[Path], *, network: Path) -> LabelledRows:
    """Return the photos as a training sees them; the label is the folder's name. All cores work."""
    batches = [photos[start : start + BATCH] for start in range(0, len(photos), BATCH)]
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        inputs = np.concatenate(list(pool.map(partial(_inputs_of_files, network), batches)))
    return LabelledRows([str(photo) for photo in photos], [photo.parent.name for photo in photos], inputs)


def _inputs_of_files(network: Path, photos: Sequence[Path]) -> np.ndarray:
    return inputs_of_images(network.read_bytes(), [decode(photo.read_bytes())[0] for photo in photos])


def fit(training: LabelledRows, held_out: LabelledRows, *, extractor: str) -> Classifier:
    """Fit LDA, as a training does that takes it, and calibrate it on the held-out photos."""
    varieties = sorted(set(training.labels))
    numbers = np.array([varieties.index(label) for label in training.labels])
    moments = ClassMoments.of(training.inputs, numbers, classes=len(varieties))
    return calibrated(
        fit_lda(moments),
        heads_of(varieties, taxonomy.load())[0],
        method="lda",
        extractor=extractor,
        sure_above=SURE_ABOVE,
        familiarity=fit_familiarity(moments, calibration_half(held_out).inputs),
        held_out=held_out,
    )
