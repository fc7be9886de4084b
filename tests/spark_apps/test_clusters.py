"""Clusters are bounded, and their agreement with the varieties is what scikit-learn says."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from fruits.clusters import MAX_CLUSTERS, Contingency, fit_centers, mixed_clusters, nearest_centers

Pairs = list[tuple[str, int]]


def contingency(pairs: Pairs) -> Contingency:
    return Contingency.of(Counter(pairs), clusters=5)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 4)), min_size=1, max_size=60))
def test_agreement_is_that_of_scikit_learn(pairs: Pairs) -> None:
    varieties, clusters = zip(*pairs, strict=True)
    found = contingency(pairs)
    assert found.adjusted_rand_index == pytest.approx(metrics.adjusted_rand_score(varieties, clusters), abs=1e-9)
    expected = metrics.normalized_mutual_info_score(varieties, clusters)
    # Where nothing is shared, scikit-learn's sums leave a rest.
    assert found.normalized_mutual_information == pytest.approx(expected, abs=1e-7)
    matrix = metrics.cluster.contingency_matrix(varieties, clusters)
    assert found.purity == pytest.approx(matrix.max(axis=0).sum() / len(pairs))


def test_without_photos_there_is_no_agreement() -> None:
    empty = contingency([])
    assert (empty.purity, empty.adjusted_rand_index, empty.normalized_mutual_information) == (None, None, None)
    assert mixed_clusters(empty) == []


def test_groups_that_are_apart_are_found() -> None:
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 50)
    vectors = random.normal(size=(200, 3)) + 30 * np.eye(4, 3)[truth]
    nearest = nearest_centers(vectors, fit_centers(vectors, clusters=4))
    assert metrics.adjusted_rand_score(truth, nearest) == 1


def test_the_nearest_center_is_that_of_all_distances() -> None:
    random = np.random.default_rng(1)
    vectors, centers = random.normal(size=(50, 6)), random.normal(size=(7, 6))
    distances = np.linalg.norm(vectors[:, None] - centers, axis=2)
    assert nearest_centers(vectors, centers).tolist() == distances.argmin(axis=1).tolist()


def test_there_are_no_more_centers_than_different_vectors_and_than_the_bound() -> None:
    same = np.repeat(np.eye(3), 4, axis=0)
    assert len(fit_centers(same, clusters=5)) == 3
    assert len(fit_centers(np.empty((0, 3)), clusters=5)) == 0
    many = np.random.default_rng(0).normal(size=(400, 2))
    assert len(fit_centers(many, clusters=300)) == MAX_CLUSTERS


def test_varieties_that_share_a_cluster_are_listed() -> None:
    pairs = [("a", 0)] * 90 + [("a", 1)] * 10 + [("b", 0)] * 50 + [("b", 2)] * 50 + [("c", 0)] * 2 + [("c", 3)] * 98
    assert mixed_clusters(contingency(pairs)) == [[("a", 90), ("b", 50)]]
