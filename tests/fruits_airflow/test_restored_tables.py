"""Tables that were restored to their state before a run (docs/runbook.md): the run's photos are new again."""

from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout
from tests.fixtures.published_run import add_photos, projected_on_current_pca, published, run_drop

pytestmark = pytest.mark.slow


def versions(bucket: Bucket) -> dict[str, Any]:
    """Return the version of each table, features first; None before a table's first commit."""
    tables = {key: PublishedTable(bucket, key).open() for key in columns.TABLES}
    return {key: table.version() if table else None for key, table in tables.items()}


def restore(bucket: Bucket, before: dict[str, Any]) -> None:
    for key, version in before.items():
        table = PublishedTable(bucket, key).open()
        if table is not None and version is not None and table.version() != version:
            table.restore(version)


@pytest.mark.parametrize("mode", ["auto", "fit"])
def test_a_restored_drop_is_new_and_can_be_published_again(bucket: Bucket, deployment: Settings, s3: S3Client, mode: str) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Pear/0.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    before, names = versions(bucket), published(bucket)
    add_photos(s3, bucket, "second", ["Apple/1.jpg", "Apple/2.jpg"])
    run_drop(bucket, deployment, "r2", "second", mode=mode)
    assert published(bucket) != names

    restore(bucket, before)

    assert published(bucket) == names
    assert PublishedTable(bucket, layout.PROJECTED_TABLE).newest_run() == "r1"
    # Without the photo that was the problem; a fit was undone as well, so another one makes a current PCA.
    s3.delete_object(Bucket=bucket.name, Key=layout.raw_image("second", "Apple", "2.jpg"))
    params = run_drop(bucket, deployment, "r3", "second", mode=mode)
    assert published(bucket)["features"] == ["first/Apple/0.jpg", "first/Pear/0.jpg", "second/Apple/1.jpg"]
    assert projected_on_current_pca(bucket) == published(bucket)["features"]
    assert params.pca == ("r3" if mode == "fit" else "r1")
