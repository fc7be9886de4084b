"""The map holds a photo's place, neighbours and trust, also where there are few components or photos."""

import numpy as np
import pytest

from fruits.photo_map import NEIGHBOURS, PhotoMap
from fruits.projected_sample import PhotoSample


def sample(count: int, *, k: int) -> PhotoSample:
    names = np.array([f"raw/first/v/{number}.jpg" for number in range(count)], dtype=object)
    vectors = np.random.default_rng(0).normal(size=(count, k)).astype(np.float32)
    return PhotoSample(np.arange(count, dtype=np.uint64), names, np.array(["v"] * count, dtype=object), vectors)


def test_one_component_is_drawn_on_a_line() -> None:
    photos = sample(5, k=1)
    made = PhotoMap.of(photos, {})
    assert np.array_equal(made.pca[:, 0], photos.vectors[:, 0])
    assert not made.pca[:, 1].any()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_few_photos_have_no_second_map(count: int) -> None:
    data = PhotoMap.of(sample(count, k=3), {}).to_data()
    assert data["tsne"] is None
    assert data["trustworthiness"] == {"pca": None}


def test_the_first_two_of_many_components_are_the_map() -> None:
    photos = sample(60, k=5)
    made = PhotoMap.of(photos, {})
    assert np.array_equal(made.pca, photos.vectors[:, :2])
    assert made.neighbours.shape == (60, NEIGHBOURS)
    assert set(made.trust) == {"pca", "tsne"}
