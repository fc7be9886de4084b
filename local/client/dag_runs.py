"""Waits for a DAG to be parsed, and follows one of its runs on the screen."""

import time
from contextlib import suppress
from pathlib import Path

import httpx
import tenacity
from rich.console import Console

from local.client.airflow_api import AirflowApi, AirflowRefused, DagRun
from local.client.live_log import LiveLog
from local.client.screen import TAIL_LINES, Screen, open_screen
from local.waiting import wait_until

PARSE_LIMIT_S = 180
POLL_S = 1.0
SILENCE_LIMIT_S = 60


class DagNotUsable(RuntimeError):
    """Airflow could not import the DAG, or has not seen it."""


def wait_until_parsed(api: AirflowApi, dag: str) -> None:
    """Return when Airflow knows the DAG; raise `DagNotUsable` when it cannot import it, or has not found it in time."""

    def is_parsed() -> bool:
        for file, trace in api.import_errors().items():
            if Path(file).stem == dag:
                raise DagNotUsable(f"Airflow cannot import {file}:\n{trace}")
        return api.has_dag(dag)

    if not wait_until(is_parsed, timeout_s=PARSE_LIMIT_S, every_s=POLL_S):
        raise DagNotUsable(
            f"Airflow has not parsed {dag} within {PARSE_LIMIT_S} s; expected dags/{dag}.py in its DAGs folder: see the log "
            "of dag-processor, `make status` names the file"
        )


def follow(api: AirflowApi, dag: str, run_id: str, *, console: Console, log: LiveLog) -> DagRun:
    """Show the run until it is over; an interrupt ends it."""
    order = api.task_order(dag)

    def show(screen: Screen) -> DagRun:
        state = api.dag_run(dag, run_id, order=order)
        screen.show(state, log.now(state, count=TAIL_LINES))
        return state

    # The supervisor restarts a server that crashed; the run itself goes on meanwhile.
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_delay(SILENCE_LIMIT_S),
        wait=tenacity.wait_fixed(POLL_S),
        retry=tenacity.retry_if_exception_type(httpx.TransportError),
        reraise=True,
    )
    try:
        with open_screen(console) as screen:
            while True:
                state = retry(show, screen)
                if state.is_over:
                    return state
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        # End the run, so that its teardown terminates the cluster even if the services stay up.
        with suppress(httpx.HTTPError, AirflowRefused):
            api.end_run(dag, run_id)
        raise
