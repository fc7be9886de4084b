"""The map shows the same photos each time, the CSV holds all, and the rejects come by path."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark import SparkContext

from fruits.projected_rows import first_rejects, sample_points, write_csv
from fruits.storage import Storage
from fruits_contract import columns
from fruits_contract.manifest import WrittenFile

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


def put(storage: Storage, key: str, kinds: dict[str, str], rows: list[dict[str, Any]]) -> WrittenFile:
    schema = columns.arrow_schema(kinds)
    written = storage.write_parquet(key, pa.Table.from_pylist(rows, schema=schema).to_batches(7), schema)
    assert written is not None
    return written


def put_projected(storage: Storage, key: str, numbers: range, *, k: int = 3) -> WrittenFile:
    rows = [{"path": f"p{n}", "label": f"v{n % 2}", "projected": [n / 10 + axis for axis in range(k)]} for n in numbers]
    return put(storage, key, columns.PROJECTED, rows)


def test_the_sample_is_the_same_however_the_rows_are_cut_into_files(context: SparkContext, storage: Storage) -> None:
    whole = [put_projected(storage, "sample/whole.parquet", range(40))]
    parts = [put_projected(storage, f"sample/{start}.parquet", range(start, start + 10)) for start in (30, 0, 20, 10)]
    one, other = (sample_points(context, files, bucket=storage.bucket, count=15) for files in (whole, parts))
    assert one.total == 40
    assert one.xy.shape == (15, 2)
    assert (one.xy == other.xy).all()
    assert one.labels == other.labels
    numbers = np.rint(one.xy[:, 0] * 10).astype(int)
    assert len(set(numbers)) == 15
    assert numbers.max() > 20, "not simply the first rows"
    assert one.labels == [f"v{number % 2}" for number in numbers]
    assert np.allclose(one.xy[:, 1], one.xy[:, 0] + 1)


def test_few_photos_are_all_shown_and_one_component_is_drawn_on_a_line(context: SparkContext, storage: Storage) -> None:
    files = [put_projected(storage, "sample/line.parquet", range(4), k=1)]
    points = sample_points(context, files, bucket=storage.bucket, count=15)
    assert sorted(points.xy[:, 0].round(1)) == [0, 0.1, 0.2, 0.3]
    assert (points.xy[:, 1] == 0).all()


def test_no_file_gives_an_empty_map(context: SparkContext, storage: Storage) -> None:
    points = sample_points(context, [], bucket=storage.bucket, count=15)
    assert points.xy.shape == (0, 2)
    assert points.labels == []


def test_the_csv_has_the_shortest_text_of_each_float32(storage: Storage) -> None:
    rows = [
        {"path": 'a "b", c', "label": "Äpfel", "projected": [0.1, -3.0]},
        {"path": "d", "label": "", "projected": [1e-30, 7e9]},
    ]
    written = put(storage, "csv/one.parquet", columns.PROJECTED, rows)
    file = io.StringIO()
    assert write_csv(file, storage, [written, written], k=2) == 4
    assert file.getvalue().splitlines() == [
        "path,label,pca_1,pca_2",
        *['"a ""b"", c",Äpfel,0.1,-3.0', "d,,1e-30,7e+09"] * 2,
    ]


def test_the_first_rejects_come_by_path(storage: Storage) -> None:
    made = [{name: "x" for name in columns.REJECTS} | {"path": f"p{n}"} for n in (5, 3, 9, 1)]
    files = [put(storage, f"rejects/{number}.parquet", columns.REJECTS, made[2 * number : 2 * number + 2]) for number in (0, 1)]
    assert [row["path"] for row in first_rejects(storage, files, count=3)] == ["p1", "p3", "p5"]
    assert set(first_rejects(storage, files, count=3)[0]) == set(columns.REJECTS)
    assert first_rejects(storage, [], count=3) == []
