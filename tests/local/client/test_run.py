"""What a user sees of a run: the right log, one line per change, and the figures or the reason at the end."""

import io
import os
import time
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from rich.console import Console

from fruits_contract import layout
from fruits_contract.manifest import Finding, Manifest
from fruits_contract.progress import Progress
from local.client import results, screen
from local.client.airflow_api import AirflowApi, DagRun, TaskRun
from local.client.live_log import LiveLog, LogTail
from local.client.options import SYNTHETIC, RunRequest, drop_name
from local.client.run import provide_photos
from local.client.screen import Screen, open_screen, render
from local.client.upload import CannotUpload, list_drop
from local.waiting import wait_until

RUN_ID = "manual__2026-11-22T10:00:00+00:00"
FEATURIZING = Progress(what="featurizing", done=1200, total=4320, unit="photos", seconds=6, per_second=200)


def _run(**states: str) -> DagRun:
    tasks = tuple(TaskRun(task, state, 2.0, 1) for task, state in states.items())
    return DagRun("fruits_features", RUN_ID, "running", 10.0, tasks)


class _Airflow:
    """Only the log of a task."""

    def log(self, run: DagRun, task: TaskRun) -> list[str]:
        return [f"{task.task} says {number}" for number in range(40)]


@pytest.fixture
def live_log(tmp_path: Path, bucket: str) -> LiveLog:
    return LiveLog(cast(AirflowApi, _Airflow()), tmp_path, bucket)


def _step(emr: Path, name: str, *, script: str, **streams: str) -> Path:
    folder = emr / "j-1" / "steps" / name
    folder.mkdir(parents=True)
    (folder / "controller").write_text(f"INFO spark-submit s3://b/code/r/{script}.py --bucket b")
    for stream, text in streams.items():
        (folder / stream).write_text(text)
    return folder


def test_log_is_that_of_the_running_step(live_log: LiveLog, tmp_path: Path) -> None:
    _step(tmp_path, "s-1", script="featurize", stderr="old\n")
    _step(tmp_path, "s-2", script="fit_pca", stdout="", stderr="\n".join(map(str, range(50))))
    tail = live_log.now(_run(featurize="success", fit_pca="running"), count=3)
    assert tail == LogTail("fit_pca, stderr of s-2", ("47", "48", "49"))


def test_step_of_an_earlier_run_is_not_shown(live_log: LiveLog, tmp_path: Path) -> None:
    for path in _step(tmp_path, "s-1", script="featurize", stderr="old\n").iterdir():
        os.utime(path, (1, 1))
    tail = live_log.now(_run(featurize="running"), count=1)
    assert tail == LogTail("featurize, Airflow's log", ("featurize says 39",))


def test_nothing_running_shows_nothing(live_log: LiveLog) -> None:
    assert live_log.now(_run(featurize="success", publish="waiting"), count=3) == LogTail("")


def test_a_stages_progress_is_read_from_the_bucket(s3: S3Client, bucket: str, live_log: LiveLog, tmp_path: Path) -> None:
    _step(tmp_path, "s-1", script="featurize", stderr="log\n")
    assert live_log.now(_run(featurize="deferred"), count=1).progress is None
    key = layout.progress(layout.run_name(RUN_ID), "featurize")
    s3.put_object(Bucket=bucket, Key=key, Body=FEATURIZING.to_json().encode())
    assert live_log.now(_run(featurize="deferred"), count=1) == LogTail("featurize, stderr of s-1", ("log",), FEATURIZING)


def test_pipe_gets_one_line_per_change() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=200))
    for state in ("waiting", "running", "running", "success"):
        screen.show(_run(featurize=state), LogTail(""))
    assert [line.split()[3] for line in out.getvalue().splitlines()] == ["running", "success"]


def test_pipe_gets_lines_while_airflow_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    out = io.StringIO()
    shown = Screen(Console(file=out, width=200))
    shown.show(_run(featurize="deferred"), LogTail("", (), FEATURIZING))
    shown.remind()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    shown.remind()
    shown.remind()
    _, reminder = out.getvalue().splitlines()
    assert reminder.split(maxsplit=2)[0] == "70"
    assert reminder.endswith(FEATURIZING.summary())


def test_lines_are_printed_although_nothing_was_shown_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "QUIET_S", 0)
    monkeypatch.setattr(screen, "REMIND_S", 0.01)
    out = io.StringIO()
    with open_screen(Console(file=out, width=200)):
        assert wait_until(lambda: "waiting for Airflow" in out.getvalue(), timeout_s=20, every_s=0.01)


def test_terminal_shows_tasks_bar_and_log() -> None:
    out = io.StringIO()
    tail = LogTail("featurize, stderr of s-1", ("one line", "[not markup]"), FEATURIZING)
    Console(file=out, width=100).print(render(_run(wait_for_drop="success", featurize="running"), tail))
    assert "✓" in out.getvalue()
    assert "━" in out.getvalue()
    assert FEATURIZING.summary() in out.getvalue()
    assert "[not markup]" in out.getvalue()


@given(st.text(min_size=1, max_size=200).filter(lambda name: "/" not in name and "\0" not in name))
def test_any_folder_name_gives_a_valid_drop_name(name: str) -> None:
    layout.check_name(drop_name(Path("/photos") / name), what="drop")


def test_outcome_is_downloaded_and_printed(s3: S3Client, bucket: str, tmp_path: Path, live_log: LiveLog) -> None:
    run = layout.run_name(RUN_ID)
    finding = Finding("reject_ratio", "red", "12% unreadable, expected at most 5%")
    featurized = Manifest("featurize", run, "2026-11-22", 3.0, 600, 590, 10, findings=(finding,))
    fitted = Manifest("fit_pca", run, "2026-11-22", 3.0, 590, 590, figures={"k": 41, "explained_variance": 0.7012})
    for manifest in (featurized, fitted):
        s3.put_object(Bucket=bucket, Key=layout.manifest(run, manifest.stage), Body=manifest.to_json().encode())
    s3.put_object(Bucket=bucket, Key=layout.report_page(run), Body=b"<html>")

    left = results.fetch(bucket, RUN_ID, into=tmp_path / "out")
    assert (tmp_path / "out" / run / "report" / "index.html").read_bytes() == b"<html>"
    assert list(left.manifests.values()) == [featurized, fitted]

    out = io.StringIO()
    results.print_success(Console(file=out, width=200), _run(featurize="success"), left)
    printed = out.getvalue().split()
    assert {"600", "590", "10", "200", "41", "0.7012", str(tmp_path / "out" / run / "featurize.json")} <= set(printed)

    out = io.StringIO()
    results.print_failure(Console(file=out, width=200), _run(validate="failed"), left, live_log)
    assert "Failed: validate" in out.getvalue()
    assert "validate says 39" in out.getvalue()
    assert "12% unreadable" in out.getvalue()


@pytest.mark.parametrize(
    ("states", "message"), [({"plan_batch": "success"}, "Nothing new"), ({results.WAIT: "skipped"}, "no _READY")]
)
def test_run_without_work_says_why(tmp_path: Path, states: dict[str, str], message: str) -> None:
    out = io.StringIO()
    results.print_success(Console(file=out, width=200), _run(**states), results.Results(tmp_path, {}, {}))
    assert message in out.getvalue()


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_an_existing_drop_is_run_as_it_is(console: Console, s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="raw/mine/Apple/1.jpg", Body=b"x")
    before = list_drop(bucket, "mine")
    provide_photos(console, bucket, RunRequest("mine", None, {}))
    assert list_drop(bucket, "mine") == before


def test_a_drop_without_photos_is_an_error_that_names_it_and_the_way_out(console: Console, s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key=layout.ready("empty"), Body=b"")
    with pytest.raises(CannotUpload, match=f"drop empty has no photos.*s3://{bucket}/raw/empty/; give IMAGES=folder"):
        provide_photos(console, bucket, RunRequest("empty", None, {}))
    assert list(list_drop(bucket, "empty")) == [layout.ready("empty")]


def test_synthetic_photos_have_a_drop_of_their_own(console: Console, s3: S3Client, bucket: str) -> None:
    provide_photos(console, bucket, RunRequest(SYNTHETIC, None, {}))
    keys = list_drop(bucket, SYNTHETIC)
    assert len(keys) == 601 and layout.ready(SYNTHETIC) in keys
