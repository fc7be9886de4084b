"""The processes that read photos: what happens when they cannot be started."""

import multiprocessing
import os

import psutil
import pytest

from local.waiting import wait_until
from release.extractor import Extractor
from serving import photo_workers
from serving.metrics import Metrics
from serving.photo_workers import PhotoWorkers, WorkersFailed
from serving.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def settings() -> Settings:
    return Settings(bucket="none", workers=2)


@pytest.fixture(autouse=True)
def running_fork_server() -> None:
    """Start the fork server before the processes are counted; it stays for the next test."""
    process = multiprocessing.get_context("forkserver").Process(target=int)
    process.start()
    process.join()


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_workers_that_cannot_load_the_network_are_all_ended(settings: Settings) -> None:
    before = children()
    with pytest.raises(WorkersFailed, match=r"a worker died while loading the network \(.+\); is there enough memory\?"):
        PhotoWorkers(settings, b"no network", Metrics())
    assert wait_until(lambda: children() == before, timeout_s=10, every_s=0.1), children()


def test_a_worker_that_crashes_at_its_first_run_is_ended_with_the_others(
    settings: Settings, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_workers, "_warm_up", os.abort)
    before = children()
    with pytest.raises(WorkersFailed, match="Abnormal termination"):
        PhotoWorkers(settings, extractor.path().read_bytes(), Metrics())
    assert wait_until(lambda: children() == before, timeout_s=10, every_s=0.1), children()
