"""One run from photos on this machine to a report on this machine, through the services that are up.

It must not know how the services are started, or which they are: the embedded default or docker-compose.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.client import results
from local.client import synthetic_photos as synthetic
from local.client.airflow_api import AirflowApi, AirflowRefused, DagRun
from local.client.live_log import LiveLog
from local.client.screen import TAIL_LINES, open_screen
from local.client.upload import upload_drop
from local.console import open_console

DAG = "fruits_features"
PARSE_LIMIT_S = 180
POLL_S = 1.0
SILENCE_LIMIT_S = 60


class DagNotUsable(RuntimeError):
    """Airflow could not import the DAG, or has not seen it."""


@dataclass(frozen=True)
class Place:
    """Where a run happens.

    Parameters
    ----------
    airflow_url, shown_url
        Airflow's address for this process, and for the user's browser.
    emr_folder
        The state folder of the EMR service, in which the logs of a running step can be read.
    out
        Where the folder with what a run leaves is made.
    """

    bucket: str
    airflow_url: str
    shown_url: str
    airflow_user: str
    airflow_password: str
    emr_folder: Path
    out: Path

    def api(self) -> AirflowApi:
        """Return a session with its Airflow."""
        return AirflowApi(self.airflow_url, user=self.airflow_user, password=self.airflow_password)


def run(place: Place, *, images: Path | None, drop: str | None, params: Mapping[str, object]) -> int:
    """Upload the photos, run the DAG and fetch what it made; the standard AWS environment says where S3 is.

    Returns
    -------
    int
        0 when the run is a success, a run that found nothing new included; 1 otherwise.
    """
    console = open_console()
    try:
        name = _upload(console, images, drop=drop, bucket=place.bucket)
        api = place.api()
        _wait_until_parsed(api)
        api.unpause(DAG)
        run_id = api.trigger(DAG, {"drop": name, **params})
    except (DagNotUsable, AirflowRefused) as error:
        console.print(f"{error}")
        return 1

    console.print(f"{DAG}: run {run_id}, {place.shown_url}/dags/{DAG}/runs/{run_id}")
    log = LiveLog(api, place.emr_folder)
    ended = _follow(api, run_id, console, log)
    left = results.fetch(place.bucket, run_id, into=place.out)
    if ended.state == "success":
        results.print_success(console, ended, left)
        return 0
    results.print_failure(console, ended, left, log)
    return 1


def _upload(console: Console, images: Path | None, *, drop: str | None, bucket: str) -> str:
    with TemporaryDirectory() as scratch, _progress(console, "uploading photos") as on_progress:
        if images is None:
            console.print("photos: none given, drawing a synthetic set")
            synthetic.draw(Path(scratch))
        folder = images or Path(scratch)
        name = drop or ("synthetic" if images is None else _drop_name(images))
        summary = upload_drop(folder, bucket=bucket, drop=name, on_progress=on_progress)
    console.print(
        f"drop {summary.drop}: {summary.photos:,} photos of {summary.varieties} varieties; {summary.uploaded:,} sent, "
        f"{summary.unchanged:,} there already, {summary.ignored:,} other files ignored"
    )
    return name


def _drop_name(folder: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")[:100] or "photos"


@contextmanager
def _progress(console: Console, text: str) -> "Iterator[_Bar]":
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bar(progress, text)


class _Bar:
    def __init__(self, progress: Progress, text: str) -> None:
        self._progress = progress
        self._task = progress.add_task(text, total=None)

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


def _wait_until_parsed(api: AirflowApi) -> None:
    deadline = time.monotonic() + PARSE_LIMIT_S
    while time.monotonic() < deadline:
        broken = {file: trace for file, trace in api.import_errors().items() if Path(file).stem == DAG}
        for file, trace in broken.items():
            raise DagNotUsable(f"Airflow cannot import {file}:\n{trace}")
        if api.has_dag(DAG):
            return
        time.sleep(POLL_S)
    raise DagNotUsable(
        f"Airflow has not parsed {DAG} within {PARSE_LIMIT_S} s; expected dags/{DAG}.py in its DAGs folder: see the log "
        "of dag-processor, `make status` names the file"
    )


def _follow(api: AirflowApi, run_id: str, console: Console, log: LiveLog) -> DagRun:
    order = api.task_order(DAG)
    heard_at = time.monotonic()
    try:
        with open_screen(console) as screen:
            while True:
                try:
                    state = api.dag_run(DAG, run_id, order=order)
                    screen.show(state, log.now(state, count=TAIL_LINES))
                    heard_at = time.monotonic()
                    if state.is_over:
                        return state
                except httpx.TransportError:
                    # The supervisor starts a server that fell over again; the run itself goes on meanwhile.
                    if time.monotonic() - heard_at > SILENCE_LIMIT_S:
                        raise
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        # Where the services stay up, the run must not go on alone: its teardown takes the cluster away.
        with suppress(httpx.HTTPError, AirflowRefused):
            api.end_run(DAG, run_id)
        raise
