"""featurize leaves a row of features or a reject for every photo of the batch."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE
from fruits_contract.progress import Progress
from tests.spark_apps.conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


def test_the_manifest_counts_every_photo(run: Run) -> None:
    manifest = run.manifest(FEATURIZE)
    assert (manifest.stage, manifest.run) == ("featurize", "r1")
    assert (manifest.rows_in, manifest.rows_out, manifest.rows_rejected) == (
        run.photos,
        run.readable,
        len(run.broken),
    )
    assert manifest.figures["reasons"] == {"truncated": 1, "empty": 1, "not_an_image": 1, "unreadable_key": 1}
    assert manifest.digests["extractor"] == run.params.extractor
    assert manifest.digests["engine"].startswith("litert-")
    assert manifest.seconds > 0


def test_the_manifest_lists_the_files_of_both_tables_with_their_rows(run: Run) -> None:
    manifest = run.manifest(FEATURIZE)
    parts = [layout.features_part("small", "r1"), layout.rejects_part("small", "r1")]
    for part, rows in zip(parts, (run.readable, len(run.broken)), strict=True):
        files = [file for file in manifest.files if file.key.startswith(part)]
        assert sum(file.rows for file in files) == rows
        assert {file.key for file in files} == set(run.keys(part)), "what a repeated task left behind is gone"
        assert all(len(run.read(file.key)) == file.size_bytes for file in files)


def test_features_have_the_columns_of_the_contract(run: Run) -> None:
    assert run.features.column_names == list(columns.FEATURES)
    assert run.vectors.shape == (run.readable, 1280)
    assert np.isfinite(run.vectors).all()
    assert (run.vectors.max(axis=1) > 0).all()
    assert set(run.features["extractor"].to_pylist()) == {run.params.extractor}


def test_every_variety_is_complete(run: Run) -> None:
    rejects = run.table(layout.rejects_part("small", "r1"))
    assert Counter(run.features["label"].to_pylist() + rejects["label"].to_pylist()) == run.varieties


def test_rejects_say_which_photo_and_why(run: Run) -> None:
    rejects = run.table(layout.rejects_part("small", "r1"))
    assert rejects.column_names == list(columns.REJECTS)
    rows = rejects.to_pylist()
    assert {row["path"]: row["reason"] for row in rows} == run.broken
    assert all(row["detail"] and row["etag"] and row["extractor"] == run.params.extractor for row in rows)


def test_the_last_progress_stays_and_the_counts_of_its_tasks_do_not(run: Run) -> None:
    progress = Progress.from_json(run.read(layout.progress("r1", "featurize")))
    assert (progress.done, progress.total, progress.unit) == (run.photos, run.photos, "photos")
    assert run.keys(layout.task_counts("r1", "featurize")) == []


def test_etags_are_those_of_the_photos_in_the_bucket(run: Run) -> None:
    for row in run.features.select(["path", "etag"]).to_pylist()[::20]:
        head = run.s3.head_object(Bucket=run.params.bucket, Key=row["path"])
        assert head["ETag"].strip('"') == row["etag"]


def test_the_features_are_those_of_keras(run: Run, reference_photos: Path) -> None:
    with np.load(reference_photos / "reference_features.npz") as reference:
        expected = dict(zip(map(str, reference["keys"]), reference["features"], strict=True))
    paths = [path.removeprefix(layout.raw_prefix("small")) for path in run.features["path"].to_pylist()]
    shared = [number for number, path in enumerate(paths) if path in expected]
    assert shared
    for number in shared:
        assert np.abs(run.vectors[number] - expected[paths[number]]).max() <= 1e-3
