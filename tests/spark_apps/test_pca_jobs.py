"""Every file of features becomes a file of projections in its own drop's folder, without the rows that do not count."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import SparkContext

from fruits.feature_files import FeatureFile
from fruits.pca import Moments, Pca, fit
from fruits.pca_jobs import SCHEMA, project
from fruits.storage import Storage, write_row_groups

pytestmark = [pytest.mark.slow, pytest.mark.spark4]
THIS, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 6, (9, 1280)).astype(np.float32)


@pytest.fixture
def pca(rows: np.ndarray) -> Pca:
    return fit(Moments.of(rows), components=3)


def put(bucket: Storage, key: str, paths: list[str], rows: np.ndarray, *, extractor: str = THIS) -> None:
    columns = {
        "path": paths,
        "label": [f"of {path}" for path in paths],
        "extractor": [extractor] * len(paths),
        "features": pa.array(list(rows), type=pa.list_(pa.float32())),
    }
    table = pa.table(columns)
    content = io.BytesIO()
    write_row_groups(content, table.to_batches(2), table.schema)
    bucket.write(key, content.getvalue())


def test_files_are_projected_drop_by_drop(context: SparkContext, storage: Storage, rows: np.ndarray, pca: Pca) -> None:
    files = {
        "tables/features/drop=new/run=2/own.parquet": (list("bc"), rows[:2], THIS),
        "tables/features/drop=new/run=1/old.parquet": (list("abc"), rows[2:5], THIS),
        "tables/features/drop=past/run=0/old.parquet": (list("abc"), rows[5:8], THIS),
        "tables/features/drop=past/run=0/foreign.parquet": (["z"], rows[8:], OTHER),
    }
    for key, (paths, part, extractor) in files.items():
        put(storage, key, paths, part, extractor=extractor)
    own, *published = files
    listed = [FeatureFile(own), *(FeatureFile(key, superseded_by=(own,) if "=new" in key else ()) for key in published)]
    done = project(
        context,
        listed,
        bucket=storage.bucket,
        extractor=THIS,
        pca=pca,
        folder_of=lambda drop: f"projected/drop={drop}/",
    )
    written = [each.file for each in done if each.file]
    assert [file.rows for file in written] == [2, 1, 3]
    assert [file.key.split("/")[1] for file in written] == ["drop=new", "drop=new", "drop=past"]
    found = pa.concat_tables(pq.read_table(io.BytesIO(storage.read(file.key))) for file in written)
    assert found.schema == SCHEMA
    assert found["path"].to_pylist() == list("bcaabc")
    assert found["label"].to_pylist() == [f"of {path}" for path in "bcaabc"]
    expected = pca.transform(rows[[0, 1, 2, 5, 6, 7]])
    assert np.abs(np.array(found["projected"].to_pylist()) - expected).max() <= 1e-5
    assert sum(each.spread.count for each in done if each.spread) == 6
    assert done[-1].file is done[-1].spread is None, "a file without a row that counts leaves nothing"


def test_no_files_leave_nothing(context: SparkContext, pca: Pca) -> None:
    assert project(context, [], bucket="first", extractor=THIS, pca=pca, folder_of=str) == []
