"""While Spark's tasks run, how far they are is in the bucket and in the step's log."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from pyspark import SparkContext

from fruits import job_progress
from fruits.job_progress import Speed, show_photos, show_progress
from fruits.stage_run import StageRun
from fruits.storage import Storage
from fruits.task_counts import count_items
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, FeaturesRunParams
from fruits_contract.progress import Progress

pytestmark = [pytest.mark.slow, pytest.mark.spark4]
LIMIT_S = 60


@pytest.fixture
def run(
    context: SparkContext, storage: Storage, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> StageRun[Any]:
    monkeypatch.setattr(job_progress, "EVERY_S", 0.05)
    params = FeaturesRunParams(bucket=storage.bucket, run=request.node.name, drop="d", release="v1", extractor="e" * 64, pca="p")
    return StageRun(FEATURIZE, params, context, storage, "2026-11-27T00:00:00+00:00", 0.0)


def written(run: str, bucket: str) -> Progress:
    return Progress.from_json(Storage(bucket).read(layout.progress(run, FEATURIZE.name)))


def waits_for(run: StageRun[Any], condition: Callable[[Progress], bool]) -> Callable[[], Progress]:
    """Return what a task calls to go on only when the bucket holds such a progress."""
    name, bucket = run.params.run, run.params.bucket

    def wait() -> Progress:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            progress = written(name, bucket)
            if condition(progress):
                return progress
            time.sleep(0.1)
        raise TimeoutError(f"the bucket still has {progress}")

    return wait


def test_photos_are_reported_before_their_task_ends(run: StageRun[Any], context: SparkContext) -> None:
    is_seen = waits_for(run, lambda progress: (progress.done, progress.total) == (2, 6))
    bucket = run.params.bucket

    def work(number: int, folder: str) -> Progress | None:
        seen = None
        with count_items(range(3), storage=Storage(bucket), key=f"{folder}{number}") as counted:
            for item in counted:
                if (number, item) == (0, 2):
                    seen = is_seen()
        return seen

    with show_photos(run, what="featurizing", total=6) as folder:
        seen, _ = context.parallelize([0, 1], 2).map(lambda number: work(number, folder)).collect()
    assert (seen.what, seen.unit) == ("featurizing", "photos")
    assert (written(run.params.run, bucket).done, written(run.params.run, bucket).total) == (6, 6)
    assert run.storage.etags(folder) == {}


def test_counts_of_an_earlier_attempt_are_forgotten(run: StageRun[Any]) -> None:
    run.storage.write(f"{layout.task_counts(run.params.run, FEATURIZE.name)}00000", "5")
    with show_photos(run, what="featurizing", total=6):
        pass
    assert written(run.params.run, run.params.bucket).done == 0


def test_tasks_are_reported_while_the_job_runs(run: StageRun[Any], context: SparkContext) -> None:
    is_seen = waits_for(run, lambda progress: (progress.done, progress.total) == (1, 2))
    with show_progress(run, what="reading features"):
        seen = context.parallelize([0, 1], 2).map(lambda number: is_seen() if number else None).collect()[1]
    assert (seen.what, seen.unit) == ("reading features", "tasks")


def test_the_speed_counts_from_the_first_items_on() -> None:
    speed = Speed()
    assert [speed.at(now, done) for now, done in ((0, 0), (10, 0), (12, 100))] == [0, 0, 0]
    assert speed.at(14, 500) == 200
    assert [speed.at(now, done) for now, done in ((16, 0), (18, 3), (20, 5))] == [0, 0, 1]


def test_the_log_of_the_step_has_it_too(
    run: StageRun[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job_progress, "PRINT_EVERY_S", 0)
    with show_progress(run, what="featurizing", unit="photos", count=lambda: (3, 9)):
        pass
    assert capsys.readouterr().err.startswith("featurize: featurizing: 3 of 9 photos in 0 s")
