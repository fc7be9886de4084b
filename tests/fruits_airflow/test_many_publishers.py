"""Many runs at once, and many runs of one drop: every commit counts once, and a photo has one row."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow import lease
from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import RUN, effective_commits
from fruits_airflow.publishing import publish_run
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile
from tests.fixtures.published_run import (
    add_photos,
    features_row,
    plan,
    projected_on_current_pca,
    published,
    run_drop,
    run_stages,
    write_rows,
)

pytestmark = pytest.mark.slow

PUBLISHERS = 16
RUNS = 50


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "POLL_S", 0.05)


@pytest.fixture
def table(bucket: Bucket) -> PublishedTable:
    return PublishedTable(bucket, layout.FEATURES_TABLE)


def runs_in(table: PublishedTable) -> list[str]:
    """Return the run of every commit that has one."""
    return sorted(str(commit[RUN]) for commit in effective_commits(table.open()) if RUN in commit)


def write(bucket: Bucket, run: str, drop: str, names: list[int]) -> WrittenFile:
    photos = [{"path": f"raw/{drop}/Apple/{name}.jpg", "etag": run, "label": "Apple", "contributor": ""} for name in names]
    key = f"{layout.features_part(drop, run)}part-0.parquet"
    return write_rows(bucket, key, [features_row(photo) for photo in photos], columns.FEATURES)


def test_sixteen_runs_that_are_published_at_once_are_sixteen_commits(
    bucket: Bucket, deployment: Settings, s3: S3Client, table: PublishedTable
) -> None:
    add_photos(s3, bucket, "drop0", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r0", "drop0")
    planned = []
    for number in range(1, PUBLISHERS + 1):
        add_photos(s3, bucket, f"drop{number}", ["Apple/0.jpg", "Apple/1.jpg", "Apple/broken.jpg"])
        params = plan(bucket, deployment, f"r{number}", f"drop{number}")
        run_stages(bucket, params, unreadable=["Apple/broken.jpg"])
        planned.append(params)
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        list(pool.map(lambda params: publish_run(bucket, params), planned))
    assert runs_in(table) == sorted(f"r{number}" for number in range(PUBLISHERS + 1))
    good = [f"drop{number}/Apple/{photo}.jpg" for number in range(1, PUBLISHERS + 1) for photo in (0, 1)]
    assert published(bucket)["features"] == sorted(["drop0/Apple/0.jpg", *good])
    assert projected_on_current_pca(bucket) == published(bucket)["features"]
    assert len(published(bucket)["rejects"]) == PUBLISHERS


def test_a_table_without_the_lease_loses_nothing_either(bucket: Bucket, table: PublishedTable) -> None:
    # Half of the publishers replace the same rows of one drop, half have a drop of their own.
    table.publish([write(bucket, "r0", "shared", [0, 1])], run="r0")
    runs = {f"r{number}": "shared" if number % 2 else f"drop{number}" for number in range(1, PUBLISHERS + 1)}
    files = {run: [write(bucket, run, drop, [0, number])] for number, (run, drop) in enumerate(runs.items(), start=2)}
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        assert all(pool.map(lambda run: table.publish(files[run], run=run), runs))
    assert runs_in(table) == sorted(["r0", *runs])
    paths = table.rows("path")["path"].to_pylist()
    assert len(paths) == len(set(paths)) == 2 + PUBLISHERS + PUBLISHERS // 2


def test_fifty_runs_of_one_drop_in_any_order_leave_one_row_per_photo(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    chance = random.Random(13)
    names = [f"Apple/{number}.jpg" for number in range(12)]
    add_photos(s3, bucket, "other", ["Apple/0.jpg"])
    run_drop(bucket, deployment, "r0", "other")
    waiting = []
    for number in range(1, RUNS):
        # Some photos are new or have changed, some cannot be read any more, and what waits is not published yet: runs overlap.
        add_photos(s3, bucket, "first", chance.sample(names, 4), content=str(number).encode())
        params = plan(bucket, deployment, f"r{number}", "first")
        run_stages(bucket, params, unreadable=chance.sample(names, 2))
        waiting.append(params)
        if len(waiting) == 7:
            chance.shuffle(waiting)
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda params: publish_run(bucket, params), waiting))
            waiting.clear()
    for params in reversed(waiting):
        publish_run(bucket, params)
    add_photos(s3, bucket, "first", names, content=b"the last")
    run_drop(bucket, deployment, "last", "first", unreadable=names[:2])

    tables = published(bucket, drop="first")
    good = sorted(f"first/{name}" for name in names[2:])
    assert tables == {"features": good, "projected": good, "rejects": sorted(f"first/{name}" for name in names[:2])}
    rows = PublishedTable(bucket, layout.FEATURES_TABLE).rows("path", "run", drop="first").to_pylist()
    assert {row["run"] for row in rows} == {"last"}
