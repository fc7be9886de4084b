"""A long job prints its progress, and a short one prints nothing."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from fruits import job_progress
from fruits.job_progress import show_progress


class Tracker:
    """Spark's tracker, of a job of four tasks of which one more is done at every look."""

    def __init__(self) -> None:
        self.done = -1

    def getActiveStageIds(self) -> list[int]:
        return [7, 8]

    def getStageInfo(self, number: int) -> Any:
        if number == 8:  # gone in the meantime
            return None
        self.done += 1
        return SimpleNamespace(numTasks=4, numCompletedTasks=self.done)


def test_tasks_and_the_time_left_are_printed_as_soon_as_one_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job_progress, "EVERY_S", 0.05)
    context: Any = SimpleNamespace(statusTracker=Tracker)
    with show_progress(context, what="featurize: 9 photos"):
        deadline = time.monotonic() + 20
        printed = ""
        while "1 of 4" not in printed and time.monotonic() < deadline:
            printed += capsys.readouterr().err
            time.sleep(0.02)
    none, one, *_ = printed.splitlines()
    assert none == "featurize: 9 photos, 0 of 4 tasks done after 0 s"
    assert one.startswith("featurize: 9 photos, 1 of 4 tasks done after 0 s, about ")


def test_a_short_job_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(SimpleNamespace(statusTracker=Tracker), what="x"):  # type: ignore[arg-type]
        pass
    assert capsys.readouterr().err == ""
