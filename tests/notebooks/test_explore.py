"""The notebook runs from clean against published tables on a real S3 server, and what it shows is what was published."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import nbformat
import numpy as np
import pytest
from mypy_boto3_s3 import S3Client
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_contract import layout
from tests.fixtures import published_run
from tests.fixtures.packed_drop import put_shard

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "explore.ipynb"
SETTINGS = Settings(bucket="", region="eu-north-1", release="v1", subnets=("subnet-1",))
AXES = ("", "r_", "r2_")
COLORS = {"Apple": (200, 30, 30), "Pear": (120, 200, 60)}


@pytest.fixture
def tables(bucket: str, s3: S3Client) -> Bucket:
    """An empty bucket with a release."""
    opened = Bucket(bucket, session=boto3.Session(), client=s3)
    published_run.add_release(opened, SETTINGS.release)
    return opened


@pytest.fixture(autouse=True)
def environment(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make notebook` sets beside the AWS variables, and no settings of this user."""
    root = NOTEBOOK.parents[1]
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("FRUITS_BUCKET", bucket)
    monkeypatch.setenv("PYTHONPATH", f"{root / 'plugins'}:{root / 'spark_apps'}")


def publish(s3: S3Client, bucket: Bucket, names: list[str]) -> None:
    """Publish photos that exist, with features that differ by variety and a little by photo."""
    for name in names:
        photo = io.BytesIO()
        Image.new("RGB", (100, 100), COLORS[name.split("/")[0]]).save(photo, "JPEG")
        published_run.add_photos(s3, bucket, "first", [name], content=photo.getvalue())
    published_run.run_drop(bucket, replace(SETTINGS, bucket=bucket.name), "r1", "first")


def execute() -> NotebookNode:
    """Run all cells in a new kernel, without leaving outputs in the file."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    return notebook


def outputs(notebook: NotebookNode, cell: str) -> list[dict[str, Any]]:
    return next(item for item in notebook.cells if item.id == cell).outputs


def text(notebook: NotebookNode, cell: str) -> str:
    return "".join(item.get("text") or item["data"]["text/plain"] for item in outputs(notebook, cell))


def has_picture(notebook: NotebookNode, cell: str) -> bool:
    return any("image/png" in item.get("data", {}) for item in outputs(notebook, cell))


def test_it_shows_what_is_published(s3: S3Client, tables: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = published_run.features_row

    def features_row(photo: dict[str, Any], extractor: str) -> dict[str, Any]:
        noise = np.random.default_rng(len(photo["path"])).normal(0, 0.01, 8)
        return plain(photo, extractor) | {"features": list(np.eye(8)[list(COLORS).index(photo["label"])] + noise)}

    monkeypatch.setattr(published_run, "features_row", features_row)
    publish(s3, tables, [f"{variety}/{axis}{frame}_100.jpg" for variety in COLORS for axis in AXES for frame in range(4)])

    notebook = execute()

    assert not [item for cell in notebook.cells for item in cell.get("outputs", []) if item.get("name") == "stderr"]
    assert [
        line.split()[1::2][:2] for line in text(notebook, "duckdb").splitlines() if " Apple " in line or " Pear " in line
    ] == [
        ["Apple", "12"],
        ["Pear", "12"],
    ]
    assert "shape: (2, 5)" in text(notebook, "polars")
    assert has_picture(notebook, "map")
    assert "24 photos x 8 features" in text(notebook, "sample")
    assert has_picture(notebook, "neighbours")
    # The whole last axis, r2_, of both varieties.
    assert "16 photos to train on, 8 held out" in text(notebook, "split")
    assert "Accuracy on held-out photos: 1.000" in text(notebook, "classifier")


def test_it_runs_on_very_few_photos_which_are_deleted_already(s3: S3Client, tables: Bucket) -> None:
    publish(s3, tables, ["Apple/0_100.jpg", "Apple/1_100.jpg"])
    for name in ("0_100.jpg", "1_100.jpg"):
        s3.delete_object(Bucket=tables.name, Key=layout.raw_image("first", "Apple", name))
    notebook = execute()
    assert has_picture(notebook, "neighbours")
    assert "too few photos" in text(notebook, "classifier")


def test_photos_of_a_shard_are_shown(s3: S3Client, tables: Bucket) -> None:
    publish(s3, tables, ["Apple/0_100.jpg", "Apple/1_100.jpg"])
    contents = {}
    for name in ("Apple/0_100.jpg", "Apple/1_100.jpg"):
        contents[name] = tables.read(layout.raw_prefix("first") + name)
        s3.delete_object(Bucket=tables.name, Key=layout.raw_prefix("first") + name)
    without = execute()
    put_shard(tables, "first", "a", contents)
    assert outputs(execute(), "neighbours") != outputs(without, "neighbours"), "photos instead of 'no photo any more'"


def test_without_the_checkout_on_the_path_a_rotation_axis_is_held_out_as_well(
    s3: S3Client, tables: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    publish(s3, tables, [f"{variety}/{axis}{frame}_100.jpg" for variety in COLORS for axis in AXES for frame in range(2)])
    assert "8 photos to train on, 4 held out" in text(execute(), "split")


def test_where_nothing_is_published_it_names_the_command_that_publishes(tables: Bucket) -> None:
    with pytest.raises(CellExecutionError, match=r"nothing is published in s3://.*make run IMAGES=folder"):
        execute()


def test_where_no_bucket_is_named_it_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRUITS_BUCKET")
    with pytest.raises(CellExecutionError, match=r"FRUITS_BUCKET names no bucket.*make up"):
        execute()
