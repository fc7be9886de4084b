"""fit_pca leaves the PCA that NumPy's SVD of the same features gives."""

import numpy as np
import pytest

from fruits_contract.features_pipeline import FIT_PCA
from tests.spark_apps.conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


@pytest.fixture(scope="module")
def shares(run: Run) -> np.ndarray:
    """The share of the variance of each component, by SVD of the features that featurize wrote."""
    centred = run.vectors.astype(np.float64) - run.vectors.astype(np.float64).mean(axis=0)
    singular = np.linalg.svd(centred, compute_uv=False)
    return singular**2 / (singular**2).sum()


def test_the_shares_of_the_variance_are_those_of_the_svd(run: Run, shares: np.ndarray) -> None:
    assert np.abs(run.pca["spectrum"][: len(shares)] - shares).max() <= 1e-8


def test_k_is_the_smallest_that_reaches_the_variance(run: Run, shares: np.ndarray) -> None:
    k = len(run.pca["components"])
    assert shares[:k].sum() >= 0.7
    assert shares[: k - 1].sum() < 0.7


def test_the_arrays_are_float64_of_the_documented_shapes(run: Run) -> None:
    k = run.card["k"]
    shapes = {name: (array.shape, str(array.dtype)) for name, array in run.pca.items()}
    assert shapes.pop("count")[0] == ()
    assert shapes == {
        "mean": ((1280,), "float64"),
        "components": ((k, 1280), "float64"),
        "spectrum": ((1280,), "float64"),
    }
    assert np.allclose(run.pca["mean"], run.vectors.astype(np.float64).mean(axis=0), atol=1e-9)


def test_the_card_says_what_the_arrays_hold(run: Run) -> None:
    assert run.card["model_id"] == "r1"
    assert run.card["extractor"] == run.params.extractor
    assert run.card["count"] == int(run.pca["count"]) == len(run.vectors)
    assert run.card["explained"] == pytest.approx(run.pca["spectrum"][: run.card["k"]].sum())
    assert (run.card["requested_variance"], run.card["requested_components"]) == (0.7, 0)


def test_the_manifest_says_how_many_components_explain_how_much(run: Run) -> None:
    manifest = run.manifest(FIT_PCA)
    assert (manifest.rows_in, manifest.rows_out) == (len(run.vectors), len(run.vectors))
    assert manifest.figures["k"] == run.card["k"]
    assert manifest.figures["explained_variance"] == run.card["explained"]
    assert manifest.digests["pca"] == "r1"
