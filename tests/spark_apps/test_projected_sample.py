"""The sample and the sums are the same however the rows are divided among files."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from pyspark import SparkContext

from fruits.cluster_counts import count_clusters
from fruits.clusters import nearest_centers
from fruits.projected_sample import Survey, nothing, projections_of, survey, survey_rows
from fruits.storage import Storage
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile

K = 3
COUNT = 10


@pytest.fixture
def rows() -> pa.RecordBatch:
    vectors = np.random.default_rng(0).normal(size=(40, K)).astype(np.float32)
    return pa.RecordBatch.from_arrays(
        [
            pa.array([f"raw/first/x/{number}.jpg" for number in range(40)]),
            pa.array([f"Variety {number % 3}" for number in range(40)]),
            pa.array(list(vectors), pa.list_(pa.float32())),
        ],
        schema=columns.arrow_schema(columns.PROJECTED),
    )


def merged(parts: list[pa.RecordBatch]) -> Survey:
    surveys = [survey_rows(part, k=K, count=COUNT) for part in parts]
    return reduce(lambda one, other: one.merge(other, count=COUNT), surveys, nothing(K))


def photos_in(survey: Survey) -> int:
    return sum(sums.count for sums in survey.varieties.values())


@pytest.mark.parametrize("cuts", [[0, 40], [0, 13, 40], [0, 0, 1, 5, 39, 40]])
def test_the_survey_does_not_depend_on_the_files(rows: pa.RecordBatch, cuts: list[int]) -> None:
    whole = survey_rows(rows, k=K, count=COUNT)
    parts = [rows.slice(start, stop - start) for start, stop in pairwise(cuts)]
    divided = merged(parts[::-1])
    assert photos_in(divided) == photos_in(whole) == 40
    assert divided.sample.paths.tolist() == whole.sample.paths.tolist()
    assert np.array_equal(divided.sample.vectors, whole.sample.vectors)
    for label, sums in whole.varieties.items():
        assert divided.varieties[label].count == sums.count
        assert np.allclose(divided.varieties[label].total, sums.total)


def test_the_sample_has_the_projections_of_its_paths(rows: pa.RecordBatch) -> None:
    sample = survey_rows(rows, k=K, count=COUNT).sample
    stored = dict(zip(rows["path"].to_pylist(), rows["projected"].to_pylist(), strict=True))
    assert len(sample) == COUNT
    assert [stored[path] for path in sample.paths] == sample.vectors.tolist()
    assert sample.first(4).paths.tolist() == sample.paths[:4].tolist()


def test_contributed_photos_are_counted_and_not_shown(rows: pa.RecordBatch) -> None:
    paths = rows["path"].to_pylist()
    for number in (0, 3, 6):
        paths[number] = layout.contributed_image("first", "x", f"20261122-{number:032x}")
    contributed = rows.set_column(0, "path", pa.array(paths))
    found = survey_rows(contributed, k=K, count=40)
    assert photos_in(found) == 40
    assert sorted(found.sample.paths) == sorted(path for path in paths if not layout.contribution_of(path))
    stored = dict(zip(paths, rows["projected"].to_pylist(), strict=True))
    assert [stored[path] for path in found.sample.paths] == found.sample.vectors.tolist()
    of_contributed_only = survey_rows(contributed.take(pa.array([0, 3, 6])), k=K, count=40)
    assert (photos_in(of_contributed_only), len(of_contributed_only.sample)) == (3, 0)


def test_projections_that_validate_calls_faulty_are_left_out(rows: pa.RecordBatch) -> None:
    vectors = rows["projected"].to_pylist()
    vectors[3][0] = float("nan")
    vectors[7] = vectors[7][:-1]
    vectors[9] = None
    odd = rows.set_column(2, "projected", pa.array(vectors, pa.list_(pa.float32())))
    survey_of_rest = survey_rows(odd, k=K, count=40)
    assert photos_in(survey_of_rest) == 37
    assert np.isfinite(survey_of_rest.sample.vectors).all()
    assert photos_in(survey_rows(odd.slice(3, 1), k=K, count=40)) == 0


def test_mean_and_spread_are_those_of_numpy(rows: pa.RecordBatch) -> None:
    sums = survey_rows(rows, k=K, count=COUNT).varieties["Variety 1"]
    own = np.array(rows["projected"].to_pylist())[1::3]
    assert sums.count == len(own) == 13
    assert np.allclose(sums.mean, own.mean(axis=0))
    assert sums.spread == pytest.approx(np.sqrt(np.square(own - own.mean(axis=0)).sum(axis=1).mean()))


def put(storage: Storage, key: str, rows: pa.RecordBatch) -> WrittenFile:
    written = storage.write_parquet(key, [rows], rows.schema)
    assert written is not None
    return written


@pytest.mark.slow
@pytest.mark.spark4
def test_spark_surveys_files_as_one(context: SparkContext, storage: Storage, rows: pa.RecordBatch) -> None:
    files = [put(storage, f"sample/{start}.parquet", rows.slice(start, 10)) for start in (30, 0, 20, 10)]
    found = survey(context, files, bucket=storage.bucket, k=K, count=COUNT)
    whole = survey_rows(rows, k=K, count=COUNT)
    assert found.sample.paths.tolist() == whole.sample.paths.tolist()
    assert {name: sums.count for name, sums in found.varieties.items()} == {
        name: sums.count for name, sums in whole.varieties.items()
    }
    assert len(survey(context, [], bucket=storage.bucket, k=K, count=COUNT).sample) == 0


@pytest.mark.slow
@pytest.mark.spark4
def test_spark_counts_the_photos_of_each_cluster(context: SparkContext, storage: Storage, rows: pa.RecordBatch) -> None:
    files = [put(storage, f"clusters/{start}.parquet", rows.slice(start, 20)) for start in (0, 20)]
    centers = np.random.default_rng(1).normal(size=(4, K))
    counted = count_clusters(context, files, bucket=storage.bucket, centers=centers)
    nearest = nearest_centers(projections_of(rows, k=K), centers)
    labels = np.array(rows["label"].to_pylist())
    expected = [[int(((labels == name) & (nearest == cluster)).sum()) for cluster in range(4)] for name in sorted(set(labels))]
    assert counted.counts.tolist() == expected
    assert count_clusters(context, [], bucket=storage.bucket, centers=centers).counts.shape == (0, 4)
    assert count_clusters(context, files, bucket=storage.bucket, centers=np.empty((0, K))).counts.shape == (0, 0)
