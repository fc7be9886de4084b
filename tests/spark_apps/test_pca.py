"""The PCA is exact: its laws hold for any data, and NumPy's SVD gives the same."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fruits.errors import TooFewImages
from fruits.pca import Moments, Pca, Spread, fit

values = st.floats(-1e3, 1e3, width=32)


def rows(size: int = 5, *, at_least: int = 1) -> st.SearchStrategy[np.ndarray]:
    return st.integers(at_least, 12).flatmap(lambda count: hnp.arrays(np.float32, (count, size), elements=values))


def photos(count: int = 200, size: int = 40, *, seed: int = 0) -> np.ndarray:
    """Rows with a clear order of directions, far from the origin, as features are."""
    random = np.random.default_rng(seed)
    scale = 0.85 ** np.arange(size)
    turn, _ = np.linalg.qr(random.normal(size=(size, size)))
    return ((random.normal(size=(count, size)) * scale) @ turn + random.uniform(0, 3, size)).astype(np.float32)


def by_svd(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of the variance and the direction of each component."""
    centred = data.astype(np.float64) - data.astype(np.float64).mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    return singular**2 / (singular**2).sum(), directions


def assert_close(one: Moments, other: Moments) -> None:
    assert one.count == other.count
    assert np.allclose(one.mean, other.mean, rtol=1e-9, atol=1e-9)
    assert np.allclose(one.m2, other.m2, rtol=1e-9, atol=1e-7 * max(1.0, float(np.abs(other.m2).max())))


@given(rows(), rows(), rows())
def test_merging_is_associative(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    one, two, three = map(Moments.of, (a, b, c))
    assert_close(one.merge(two).merge(three), one.merge(two.merge(three)))


@given(rows(), rows())
def test_merging_is_commutative(a: np.ndarray, b: np.ndarray) -> None:
    assert_close(Moments.of(a).merge(Moments.of(b)), Moments.of(b).merge(Moments.of(a)))


@given(st.lists(rows(), min_size=1, max_size=5))
def test_merged_moments_are_those_of_all_rows(parts: list[np.ndarray]) -> None:
    assert_close(reduce(Moments.merge, map(Moments.of, parts)), Moments.of(np.concatenate(parts)))


def test_moments_are_numpys_mean_and_covariance() -> None:
    data = photos().astype(np.float64)
    moments = Moments.of(data)
    assert np.allclose(moments.mean, data.mean(axis=0))
    assert np.allclose(moments.m2 / (len(data) - 1), np.cov(data.T))


def test_moments_are_float64_whatever_comes_in() -> None:
    # In float32 the sum of these would stop growing at 2 ** 24.
    moments = Moments.of(np.full((3, 2), 2**24 + 2, dtype=np.float32))
    assert moments.mean.dtype == moments.m2.dtype == np.float64
    assert (moments.mean == 2**24 + 2).all()


@given(rows(at_least=2))
def test_the_mean_is_projected_to_zero(data: np.ndarray) -> None:
    try:
        pca = fit(Moments.of(data), variance=0.9)
    except TooFewImages:
        return
    assert pca.transform(pca.mean[None]) == pytest.approx(0, abs=1e-9)


def test_projections_have_no_mean_and_no_correlation() -> None:
    data = photos()
    pca = fit(Moments.of(data), components=6)
    projected = pca.transform(data)
    assert projected.shape == (200, 6)
    assert projected.dtype == np.float64
    assert np.abs(projected.mean(axis=0)).max() < 1e-9
    covariance = np.cov(projected.T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-9
    assert (np.diff(np.diag(covariance)) <= 0).all()


@pytest.mark.parametrize(("count", "size"), [(200, 40), (1000, 12), (25, 40)])
def test_shares_and_components_are_those_of_the_svd(count: int, size: int) -> None:
    data = photos(count, size)
    shares, directions = by_svd(data)
    pca = fit(reduce(Moments.merge, map(Moments.of, np.array_split(data, 7))), variance=0.95)
    known = min(len(shares), size)
    assert np.abs(pca.spectrum[:known] - shares[:known]).max() < 1e-9
    for number, component in enumerate(pca.components):
        assert min(np.abs(component - directions[number]).max(), np.abs(component + directions[number]).max()) < 1e-6


def test_components_are_orthonormal() -> None:
    components = fit(Moments.of(photos()), variance=1.0).components
    assert np.abs(components @ components.T - np.eye(len(components))).max() < 1e-9


@pytest.mark.parametrize("variance", [0.05, 0.3, 0.7, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_k_is_the_smallest_that_reaches_the_variance(variance: float, seed: int) -> None:
    data = photos(seed=seed)
    shares, _ = by_svd(data)
    smallest = next(k for k in range(1, len(shares) + 1) if shares[:k].sum() >= variance - 1e-9)
    pca = fit(Moments.of(data), variance=variance)
    assert len(pca.components) == smallest
    assert pca.explained >= variance - 1e-9


def test_a_share_that_is_reached_exactly_needs_no_further_component() -> None:
    # Three independent directions with the shares 1/2, 1/4, 1/4.
    data = np.array([[2, 0, 0], [-2, 0, 0], [0, 2**0.5, 0], [0, -(2**0.5), 0], [0, 0, 2**0.5], [0, 0, -(2**0.5)]])
    shares = fit(Moments.of(data), components=1).spectrum
    assert shares == pytest.approx([0.5, 0.25, 0.25])
    assert len(fit(Moments.of(data), variance=float(shares[0])).components) == 1
    assert len(fit(Moments.of(data), variance=float(shares[0]) + 1e-6).components) == 2


@pytest.mark.parametrize("components", [1, 7, 40])
def test_a_fixed_number_of_components_overrules_the_variance(components: int) -> None:
    pca = fit(Moments.of(photos()), variance=0.01, components=components)
    assert pca.components.shape == (components, 40)
    assert pca.spectrum.shape == (40,)
    assert pca.count == 200


def test_all_of_the_variance_needs_no_more_components_than_there_is_rank() -> None:
    assert len(fit(Moments.of(photos(6, 40)), variance=1.0).components) == 5


def test_the_largest_loading_of_each_component_is_positive() -> None:
    components = fit(Moments.of(photos()), components=10).components
    largest = components[np.arange(10), np.abs(components).argmax(axis=1)]
    assert (largest > 0).all()


def test_two_fits_agree_in_sign_however_the_rows_are_split() -> None:
    data = photos()
    one = fit(Moments.of(data), components=5)
    other = fit(reduce(Moments.merge, map(Moments.of, np.array_split(data[::-1], 9))), components=5)
    assert np.abs(one.components - other.components).max() < 1e-6


def test_one_photo_is_too_few() -> None:
    with pytest.raises(TooFewImages, match="at least 2 different photos; found 1"):
        fit(Moments.of(photos(1)))


def test_copies_of_one_photo_are_too_few() -> None:
    with pytest.raises(TooFewImages, match="at least 2 different photos; found 4 without variance"):
        fit(Moments.of(np.ones((4, 3))))


def test_more_components_than_directions_are_refused() -> None:
    with pytest.raises(TooFewImages, match="6 components were requested; 6 photos have at most 5"):
        fit(Moments.of(photos(6)), components=6)
    assert len(fit(Moments.of(photos(6)), components=5).components) == 5


def spread_of(data: np.ndarray, pca: Pca) -> Spread:
    return Spread.of(data, pca.transform(data), pca)


def direct_share(data: np.ndarray, pca: Pca) -> float:
    projected = pca.transform(data)
    return float(projected.var(axis=0).sum() / data.astype(np.float64).var(axis=0).sum())


def test_the_spread_of_the_fitted_rows_is_what_the_pca_explains() -> None:
    data = photos()
    pca = fit(Moments.of(data), variance=0.7)
    assert spread_of(data, pca).explained == pytest.approx(pca.explained, abs=1e-12)


def test_the_spread_of_other_rows_is_their_own_share() -> None:
    pca = fit(Moments.of(photos()), variance=0.7)
    others = photos(seed=1)
    explained = spread_of(others, pca).explained
    assert explained == pytest.approx(direct_share(others, pca), abs=1e-12)
    assert explained < pca.explained - 0.1


@given(st.lists(st.integers(1, 199), max_size=5, unique=True))
def test_merged_spreads_are_those_of_all_rows(cuts: list[int]) -> None:
    pca = fit(Moments.of(photos()), components=5)
    data = photos(seed=1)
    merged = reduce(Spread.merge, (spread_of(part, pca) for part in np.split(data, sorted(cuts))))
    assert merged.count == 200
    assert merged.explained == pytest.approx(direct_share(data, pca), abs=1e-9)


@pytest.mark.parametrize("count", [1, 5])
def test_rows_without_variance_have_no_share(count: int) -> None:
    pca = fit(Moments.of(photos()), components=5)
    assert spread_of(np.repeat(photos(1, seed=2), count, axis=0), pca).explained is None
