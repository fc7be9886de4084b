"""transform_pca leaves the projections that the saved PCA gives by hand."""

import numpy as np
import pytest

from fruits_contract import columns, layout
from fruits_contract.features_pipeline import TRANSFORM_PCA
from tests.spark_apps.conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


def test_every_photo_with_features_is_projected_once(run: Run) -> None:
    projected = run.table(layout.projected_part("r1", "small", "r1"))
    assert projected.column_names == list(columns.PROJECTED)
    assert sorted(projected["path"].to_pylist()) == sorted(run.features["path"].to_pylist())


def test_projections_are_centred_features_times_the_components(run: Run) -> None:
    features = dict(zip(run.features["path"].to_pylist(), run.vectors, strict=True))
    for row in run.table(layout.projected_part("r1", "small", "r1")).to_pylist():
        expected = (features[row["path"]].astype(np.float64) - run.pca["mean"]) @ run.pca["components"].T
        assert row["projected"] == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert row["label"] == layout.variety_of(row["path"])


def test_the_manifest_counts_the_rows_of_each_file(run: Run) -> None:
    manifest = run.manifest(TRANSFORM_PCA)
    assert manifest.rows_in == manifest.rows_out == len(run.vectors)
    assert sum(file.rows for file in manifest.files) == len(run.vectors)
    part = layout.projected_part("r1", "small", "r1")
    assert {file.key for file in manifest.files} == set(run.keys(part)), "what a repeated task left behind is gone"
    for file in manifest.files:
        assert layout.partition_values(file.key) == {"pca": "r1", "drop": "small", "run": "r1"}


def test_of_the_fitted_photos_the_pca_keeps_what_it_explains(run: Run) -> None:
    figures = run.manifest(TRANSFORM_PCA).figures
    assert figures["k"] == run.card["k"]
    assert figures["explained_variance"] == pytest.approx(run.card["explained"], abs=1e-9)
