"""The CSV holds all photos, and the rejects come by path."""

import io
from typing import Any

import pyarrow as pa
import pytest

from fruits.projected_rows import first_rejects, write_csv
from fruits.storage import Storage
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


def put(storage: Storage, key: str, kinds: dict[str, str], rows: list[dict[str, Any]]) -> WrittenFile:
    schema = columns.arrow_schema(kinds)
    written = storage.write_parquet(key, pa.Table.from_pylist(rows, schema=schema).to_batches(7), schema)
    assert written is not None
    return written


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


def test_the_first_rejects_that_nobody_contributed_come_by_path(storage: Storage) -> None:
    contributed = layout.contributed_image("first", "Apple", "20261122-" + "0" * 32)
    made = [{name: "x" for name in columns.REJECTS} | {"path": path} for path in ("raw/p5", contributed, "raw/p9", "raw/p1")]
    files = [put(storage, f"rejects/{number}.parquet", columns.REJECTS, made[2 * number : 2 * number + 2]) for number in (0, 1)]
    assert [row["path"] for row in first_rejects(storage, files, count=3)] == ["raw/p1", "raw/p5", "raw/p9"]
    assert set(first_rejects(storage, files, count=3)[0]) == set(columns.REJECTS)
    assert first_rejects(storage, [], count=3) == []
