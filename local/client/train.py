"""Trains a classifier after a run: waits for the run that the publication starts, follows it, and fetches the model card."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE
from local.client import classifier_results, results
from local.client.airflow_api import AirflowApi, AirflowRefused
from local.client.dag_runs import POLL_S, follow, wait_until_parsed
from local.client.live_log import LiveLog
from local.console import working
from local.waiting import wait_until

DAG = CLASSIFIER_PIPELINE.dag_id
ASSET_EVENT_LIMIT_S = 30


@dataclass(frozen=True)
class Training:
    """What is known before the publication: the last training that one has started."""

    last_run: str | None


@contextmanager
def prepared(api: AirflowApi) -> Iterator[Training]:
    """Let a publication start a training while the body runs."""
    wait_until_parsed(api, DAG)
    last_run = api.newest_asset_run(DAG)
    api.set_paused(DAG, is_paused=False)
    try:
        yield Training(last_run)
    finally:
        # A later publication would start a training that dies with the services.
        with suppress(httpx.HTTPError, AirflowRefused):
            api.set_paused(DAG, is_paused=True)


def run(
    bucket: str, api: AirflowApi, training: Training, *, is_published: bool, console: Console, log: LiveLog, out: Path
) -> int:
    """Follow the training that the publication started, or start one where nothing was published.

    Returns
    -------
    int
        0 when it succeeded, 1 otherwise.
    """
    with working(f"Waiting for the publication to start {DAG}"):
        started = _run_of_publication(api, training) if is_published else None
    run_id = started or api.trigger(DAG, {})
    console.print(f"{DAG}: run {run_id}")
    ended = follow(api, DAG, run_id, console=console, log=log)
    fetched = classifier_results.fetch(bucket, run_id, into=out)
    if ended.state != "success":
        results.print_failure(console, ended, fetched, log)
        return 1
    classifier_results.print_success(console, ended, fetched)
    return 0


def _run_of_publication(api: AirflowApi, training: Training) -> str | None:
    def is_started() -> bool:
        return api.newest_asset_run(DAG) != training.last_run

    return api.newest_asset_run(DAG) if wait_until(is_started, timeout_s=ASSET_EVENT_LIMIT_S, every_s=POLL_S) else None
