"""Neighbours are the nearest; the map keeps them together, and is the same each time."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from fruits.neighbours import FEWEST_PHOTOS, embed, nearest_neighbours, trust


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    random = np.random.default_rng(0)
    rows = random.normal(size=(150, 8)) + 5 * np.eye(3, 8)[np.arange(150) % 3]
    return rows.astype(np.float32)


def test_the_map_keeps_neighbours_together(vectors: np.ndarray) -> None:
    mapped = embed(vectors)
    assert mapped is not None and mapped.shape == (150, 2)
    random = np.random.default_rng(0).normal(size=mapped.shape)
    assert trustworthiness(vectors, mapped, n_neighbors=8) > 0.85 > 0.6 > trustworthiness(vectors, random, n_neighbors=8)
    assert np.array_equal(mapped, embed(vectors))


@pytest.mark.parametrize(("count", "is_mapped"), [(0, False), (FEWEST_PHOTOS - 1, False), (FEWEST_PHOTOS, True)])
def test_few_photos_have_no_map(vectors: np.ndarray, count: int, is_mapped: bool) -> None:
    assert (embed(vectors[:count]) is not None) == is_mapped


@pytest.mark.parametrize("vectors", [np.arange(20.0)[:, None], np.ones((12, 3)), np.ones((20, 3))])
def test_a_single_component_and_equal_vectors_have_no_map(vectors: np.ndarray) -> None:
    assert embed(vectors.astype(np.float32)) is None


def test_neighbours_are_the_nearest_others(vectors: np.ndarray) -> None:
    found = nearest_neighbours(vectors, count=5)
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert found.tolist() == distances.argsort(axis=1)[:, :5].tolist()


@pytest.mark.parametrize(("photos", "neighbours"), [(0, 0), (1, 0), (2, 1), (6, 5), (7, 5)])
def test_there_may_be_fewer_photos_than_neighbours(vectors: np.ndarray, photos: int, neighbours: int) -> None:
    assert nearest_neighbours(vectors[:photos], count=5).shape == (photos, neighbours)


def test_a_photo_that_has_a_copy_is_not_its_own_neighbour() -> None:
    found = nearest_neighbours(np.zeros((4, 2)), count=3)
    assert all(number not in row for number, row in enumerate(found.tolist()))


def test_trust_needs_enough_photos(vectors: np.ndarray) -> None:
    assert trust(vectors[:16], vectors[:16, :2], count=8) is None
    assert trust(vectors, vectors, count=8) == 1
