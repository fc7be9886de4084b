"""Moments by class add up, and the classifiers that follow from them are those of the textbook."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits.class_moments import ClassMoments
from fruits.linear_fits import fit_lda, fit_nearest_centroid, principal_axes, whitening_axes

CLASSES = 3


def rows_of(seed: int, *, count: int = 300, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of three classes with the same, not spherical, spread, and their classes."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, CLASSES, count)
    centers = random.normal(size=(CLASSES, size)) * 2
    spread = np.diag(np.linspace(0.2, 2, size))
    return (centers[numbers] + random.normal(size=(count, size)) @ spread).astype(np.float32), numbers


@given(st.integers(0, 50), st.integers(1, 299))
def test_moments_of_two_parts_are_those_of_the_whole(seed: int, cut: int) -> None:
    rows, numbers = rows_of(seed)
    whole = ClassMoments.of(rows, numbers, classes=CLASSES)
    parts = [
        ClassMoments.of(part, of_part, classes=CLASSES)
        for part, of_part in ((rows[:cut], numbers[:cut]), (rows[cut:], numbers[cut:]))
    ]
    merged = parts[0].merge(parts[1])
    assert np.array_equal(merged.counts, whole.counts)
    assert np.allclose(merged.means, whole.means)
    assert np.allclose(merged.within, whole.within)


def test_the_covariance_within_classes_is_that_of_the_rows_around_their_means() -> None:
    rows, numbers = rows_of(1)
    moments = ClassMoments.of(rows, numbers, classes=CLASSES)
    centred = rows - np.stack([rows[numbers == number].mean(axis=0) for number in range(CLASSES)])[numbers]
    assert np.allclose(moments.within, centred.T @ centred / len(rows), atol=1e-4)


def test_a_class_without_rows_is_no_harm() -> None:
    rows, numbers = rows_of(2)
    moments = ClassMoments.of(rows, numbers, classes=CLASSES + 1)
    assert np.array_equal(moments.means[CLASSES], np.zeros(rows.shape[1]))
    assert np.allclose(moments.within, ClassMoments.of(rows, numbers, classes=CLASSES).within)


def test_lda_without_shrinkage_is_the_nearest_class_by_mahalanobis_distance() -> None:
    rows, numbers = rows_of(3)
    moments = ClassMoments.of(rows, numbers, classes=CLASSES)
    precision = np.linalg.inv(moments.within)
    shifts = rows[:, None, :] - moments.means[None]
    nearest = np.einsum("ncd,de,nce->nc", shifts, precision, shifts).argmin(axis=1)
    assert np.array_equal(fit_lda(moments, shrinkage=0).of(rows).argmax(axis=1), nearest)


def test_lda_shrunk_all_the_way_is_the_nearest_centroid() -> None:
    rows, numbers = rows_of(4)
    moments = ClassMoments.of(rows, numbers, classes=CLASSES)
    nearest = np.square(rows[:, None] - moments.means[None]).sum(axis=2).argmin(axis=1)
    assert np.array_equal(fit_nearest_centroid(moments).of(rows).argmax(axis=1), nearest)
    assert np.array_equal(fit_lda(moments, shrinkage=1).of(rows).argmax(axis=1), nearest)


def test_lda_of_rows_without_any_spread_still_tells_classes_apart() -> None:
    rows = np.eye(CLASSES, dtype=np.float32).repeat(4, axis=0)
    numbers = np.arange(CLASSES).repeat(4)
    moments = ClassMoments.of(rows, numbers, classes=CLASSES)
    assert np.array_equal(fit_lda(moments).of(rows).argmax(axis=1), numbers)


def test_axes_are_those_of_the_largest_variance() -> None:
    rows, numbers = rows_of(5)
    moments = ClassMoments.of(rows, numbers, classes=CLASSES)
    axes = principal_axes(moments, count=2)
    variances = (rows @ axes).var(axis=0)
    assert axes.shape == (6, 2)
    assert variances[0] >= variances[1]
    assert variances.sum() == pytest.approx(np.linalg.eigvalsh(np.cov(rows.T, bias=True))[-2:].sum(), rel=1e-4)


def test_whitened_the_spread_within_classes_is_one() -> None:
    rows, numbers = rows_of(6)
    moments = ClassMoments.of(rows, numbers, classes=CLASSES)
    axes = whitening_axes(moments, count=4)
    assert np.allclose(axes.T @ moments.within @ axes, np.eye(4), atol=1e-6)
