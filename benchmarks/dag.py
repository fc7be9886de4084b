"""make bench-dag: what Airflow adds to the steps and bootstrap actions of a run, and how long its DAG files take to parse."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import tenacity

from benchmarks.measuring import Figures, Outcome, Samples, alternate, main, parser, versions
from benchmarks.rig import CannotMeasure
from fruits_contract import layout
from local import AIRFLOW_USER
from local.client import synthetic_photos
from local.client.airflow_api import AirflowApi
from local.client.upload import upload_drop
from local.deploy import deploy as deploy_release
from local.stack import services
from local.stack.stack import Stack

DAG = "fruits_features"
PHOTOS_PER_VARIETY = 8
RUN_LIMIT_S = 1800
PARSE_LIMIT_S = 240
UNITS = dict.fromkeys(("DAG run", "steps", "bootstrap actions", "the rest", "parse"), "s")


@contextmanager
def open_stack() -> Iterator[Stack]:
    """Have the whole embedded default up, with a state folder that is deleted afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="fruits-bench-", ignore_cleanup_errors=True) as state,
        services.session(Stack.load(Path(state))) as running,
    ):
        os.environ.update(running.env)  # boto3 and obstore take everything from there
        yield running


def deploy(running: Stack, api: AirflowApi) -> None:
    """Publish the code, write the settings, and wait until the DAG has been parsed."""
    deploy_release(running)
    _until(lambda: api.has_dag(DAG), limit_s=PARSE_LIMIT_S, what=f"Airflow has not parsed {DAG}")
    api.unpause(DAG)


def run_dag(running: Stack, api: AirflowApi, photos: Path) -> Samples:
    """Run the DAG on a new drop, all five stages, and split its time."""
    drop = f"bench-{time.monotonic_ns()}"
    upload_drop(photos, bucket=running.bucket, drop=drop)
    run = api.trigger(DAG, {"drop": drop, "mode": "fit"})
    order = api.task_order(DAG)
    _until(lambda: api.dag_run(DAG, run, order=order).is_over, limit_s=RUN_LIMIT_S, what=f"the run {run} did not end")
    dag_run = api.request("GET", f"/dags/{DAG}/dagRuns/{run}")
    if dag_run["state"] != "success":
        raise CannotMeasure(f"DAG run {run} ended as {dag_run['state']}; see {running.logs}")
    begin, end = (datetime.fromisoformat(dag_run[name]) for name in ("queued_at", "end_date"))
    emr = boto3.client("emr")
    clusters = emr.list_clusters()["Clusters"]
    (cluster,) = (item["Id"] for item in clusters if item["Name"] == f"fruits {layout.run_name(run)}")
    return split(
        (end - begin).total_seconds(),
        emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["Timeline"],
        [step["Status"]["Timeline"] for step in emr.list_steps(ClusterId=cluster)["Steps"]],
    )


def split(dag_run_s: float, cluster: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Samples:
    """Split a DAG run's seconds; the embedded EMR bootstraps from a cluster's creation until it is ready."""
    steps_s = sum((step["EndDateTime"] - step["StartDateTime"]).total_seconds() for step in steps)
    bootstrap_s = (cluster["ReadyDateTime"] - cluster["CreationDateTime"]).total_seconds()
    rest_s = dag_run_s - steps_s - bootstrap_s
    return {"DAG run": dag_run_s, "steps": steps_s, "bootstrap actions": bootstrap_s, "the rest": rest_s}


def parse(api: AirflowApi, dag: str) -> Samples:
    """Let the dag processor parse a DAG's file once more, and return the seconds that it reports."""
    details = api.request("GET", f"/dags/{dag}/details")
    api.request("PUT", f"/parseDagFile/{details['file_token']}")
    before = details["last_parsed_time"]
    is_parsed = lambda: api.request("GET", f"/dags/{dag}")["last_parsed_time"] != before  # noqa: E731
    _until(is_parsed, limit_s=PARSE_LIMIT_S, what=f"Airflow has not parsed {dag} again")
    return {"parse": api.request("GET", f"/dags/{dag}")["last_parse_duration"]}


def measure(arguments: argparse.Namespace) -> Outcome:
    """Parse while nothing else runs, then run the DAG several times."""
    with open_stack() as running, tempfile.TemporaryDirectory() as folder:
        api = AirflowApi(running.url("airflow"), user=AIRFLOW_USER, password=running.secrets.airflow_password)
        deploy(running, api)
        files = {Path(item["fileloc"]).name: item["dag_id"] for item in api.request("GET", "/dags?exclude_stale=true")["dags"]}
        # the round before those that count writes the .pyc files
        alternate({name: partial(parse, api, dag) for name, dag in files.items()}, repetitions=1)
        figures = alternate({name: partial(parse, api, dag) for name, dag in files.items()}, repetitions=arguments.repetitions)
        synthetic_photos.draw(Path(folder), per_variety=PHOTOS_PER_VARIETY)
        alternate({DAG: lambda: run_dag(running, api, Path(folder))}, repetitions=arguments.repetitions, figures=figures)
    return Outcome(
        figures=figures,
        ratios=ratios(figures, list(files)),
        units=UNITS,
        settings={"photos": PHOTOS_PER_VARIETY * len(synthetic_photos.VARIETIES), "stages": 5},
        versions=versions("apache-airflow", "apache-airflow-providers-amazon"),
    )


def ratios(figures: Figures, files: list[str]) -> dict[str, float]:
    """Return the medians: of what Airflow adds to a run, and of the DAG file that takes longest."""
    return {
        "overhead_s": statistics.median(figures.of(DAG, "the rest")),
        "parse_s": max(statistics.median(figures.of(name, "parse")) for name in files),
    }


def _until(condition: Callable[[], object], *, limit_s: float, what: str) -> None:
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_delay(limit_s),
        wait=tenacity.wait_fixed(0.5),
        retry=tenacity.retry_if_result(lambda is_so: not is_so),
    )
    try:
        retry(condition)
    except tenacity.RetryError as error:
        raise CannotMeasure(f"{what} within {limit_s} s; try `make run`, which shows what goes wrong") from error


if __name__ == "__main__":
    sys.exit(main("dag", parser("dag", __doc__).parse_args(), measure))
