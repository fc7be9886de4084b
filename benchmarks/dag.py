"""make bench-dag: what Airflow adds to the steps and bootstrap actions of a run, and how long its DAG files take to parse."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import tenacity

from benchmarks import command_line
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, all_services
from benchmarks.results import Results
from benchmarks.rounds import Samples, alternate
from fruits_contract import layout
from local.client import synthetic_photos
from local.client.airflow_api import AirflowApi
from local.client.upload import upload_drop

_request = AirflowApi.request
DAG = "fruits_features"
PHOTOS_PER_VARIETY = 8
RUN_LIMIT_S = 1800
PARSE_LIMIT_S = 240
OVERHEAD, PARSE = "the rest (s)", "parse (s)"


def measure(arguments: argparse.Namespace) -> Results:
    """Parse the DAG files, then run the DAG, in turns: nothing else runs during either."""
    with all_services() as airflow, tempfile.TemporaryDirectory() as photos:
        wait_until(lambda: airflow.has_dag(DAG), limit_s=PARSE_LIMIT_S, failure=f"Airflow has not parsed {DAG}")
        airflow.set_paused(DAG, is_paused=False)
        found = _request(airflow, "GET", "/dags?exclude_stale=true")["dags"]
        dags = {Path(item["fileloc"]).name: item["dag_id"] for item in found}
        for dag in dags.values():
            parse(airflow, dag)  # writes the .pyc files
        synthetic_photos.generate(Path(photos), per_variety=PHOTOS_PER_VARIETY)
        contenders: dict[str, Callable[[], Samples]] = {file: partial(parse, airflow, dag) for file, dag in dags.items()}
        contenders[DAG] = partial(run_dag, airflow, Path(photos))
        rounds = alternate(contenders, repetitions=arguments.repetitions)
    return Results(
        rounds,
        ratios={
            "overhead_s": rounds.median(DAG, OVERHEAD),
            "parse_s": max(rounds.median(file, PARSE) for file in dags),
        },
        settings={"photos": PHOTOS_PER_VARIETY * len(synthetic_photos.VARIETIES), "stages": 5},
    )


def parse(airflow: AirflowApi, dag: str) -> Samples:
    """Have the dag processor parse a DAG's file again; return the duration that it reports."""
    details = _request(airflow, "GET", f"/dags/{dag}/details")
    _request(airflow, "PUT", f"/parseDagFile/{details['file_token']}")

    def is_parsed() -> bool:
        return bool(_request(airflow, "GET", f"/dags/{dag}")["last_parsed_time"] != details["last_parsed_time"])

    wait_until(is_parsed, limit_s=PARSE_LIMIT_S, failure=f"Airflow has not parsed {dag} again")
    return {PARSE: _request(airflow, "GET", f"/dags/{dag}")["last_parse_duration"]}


def run_dag(airflow: AirflowApi, photos: Path) -> Samples:
    """Run all five stages of the DAG on a new drop, and split its duration."""
    drop = f"bench-{time.monotonic_ns()}"
    upload_drop(photos, bucket=BUCKET, drop=drop)
    run = airflow.trigger(DAG, {"drop": drop, "mode": "fit"})

    wait_until(lambda: airflow.dag_run(DAG, run, order=[]).is_over, limit_s=RUN_LIMIT_S, failure=f"DAG run {run} has not ended")
    dag_run = _request(airflow, "GET", f"/dags/{DAG}/dagRuns/{run}")
    if dag_run["state"] != "success":
        raise CannotMeasure(f"DAG run {run} ended as {dag_run['state']}; `make run` shows why")
    seconds = (datetime.fromisoformat(dag_run["end_date"]) - datetime.fromisoformat(dag_run["queued_at"])).total_seconds()
    emr = boto3.client("emr")
    ids = {item["Name"]: item["Id"] for item in emr.list_clusters()["Clusters"]}
    cluster = ids[f"fruits {layout.run_name(run)}"]
    timeline = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["Timeline"]
    return split(seconds, timeline, [step["Status"]["Timeline"] for step in emr.list_steps(ClusterId=cluster)["Steps"]])


def split(dag_run_s: float, cluster: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Samples:
    """Split the duration of a DAG run; the EMR emulator bootstraps a cluster from its creation until it is ready."""
    steps_s = sum((step["EndDateTime"] - step["StartDateTime"]).total_seconds() for step in steps)
    bootstrap_s = (cluster["ReadyDateTime"] - cluster["CreationDateTime"]).total_seconds()
    return {
        "DAG run (s)": dag_run_s,
        "steps (s)": steps_s,
        "bootstrap actions (s)": bootstrap_s,
        OVERHEAD: dag_run_s - steps_s - bootstrap_s,
    }


def wait_until(condition: Callable[[], bool], *, limit_s: float, failure: str) -> None:
    """Wait until the condition holds; raise `CannotMeasure` when it does not in time."""
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_delay(limit_s),
        wait=tenacity.wait_fixed(0.5),
        retry=tenacity.retry_if_result(lambda is_met: not is_met),
    )
    try:
        retry(condition)
    except tenacity.RetryError as error:
        raise CannotMeasure(f"{failure} within {limit_s} s; `make run` shows why") from error


if __name__ == "__main__":
    sys.exit(command_line.main("dag", command_line.parser("dag", __doc__).parse_args(), measure))
