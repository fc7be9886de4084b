"""The runs of `fruits_features`: what each did and whether it was published, from the bucket and Airflow's states."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import has_run, open_table
from fruits_airflow.ui.airflow_runs import AirflowRun
from fruits_contract import layout

READERS = 16


@dataclass(frozen=True, kw_only=True)
class FeaturesRun:
    """One row of the page of all runs; a figure that is not known is None.

    Parameters
    ----------
    verdict
        published, not published, running, failed, nothing to do, or incomplete.
    reasons
        Messages of the red findings.
    at
        When the run was due or, if Airflow has forgotten it, when its first stage started: UTC, ISO 8601.
    k
        Number of components of the PCA.
    seconds
        The stages' own work together, without the start of the cluster and of Spark.
    usd
        Price that was expected when the run was planned, with Spot core nodes and S3's requests.
    """

    run: str
    dag_run_id: str
    at: str
    verdict: str
    reasons: tuple[str, ...] = ()
    drop: str = ""
    mode: str = ""
    photos: int | None = None
    rejects: int | None = None
    k: int | None = None
    seconds: float | None = None
    usd: float | None = None
    has_report: bool = False


def read_runs(bucket: Bucket, known: Mapping[str, AirflowRun]) -> list[FeaturesRun]:
    """Return all runs, the newest first: those of the bucket, and those of which only Airflow knows.

    Reads three objects per run.
    """
    table = open_table(bucket, layout.FEATURES_TABLE)
    with ThreadPoolExecutor(READERS) as readers:
        names = bucket.folders(layout.RUNS)
        all_params = readers.map(lambda run: read_json(bucket, layout.run_params(run)), names)
        plans = readers.map(lambda run: read_json(bucket, layout.plan_summary(run)), names)
        reports = readers.map(lambda run: _report_figures(bucket, run), names)
        in_bucket = {
            run: _described(run, params, plan, report, airflow=known.get(run), is_committed=has_run(table, run))
            for run, params, plan, report in zip(names, all_params, plans, reports, strict=True)
            if "drop" in params
        }
    only_in_airflow = [
        FeaturesRun(run=run, dag_run_id=airflow.dag_run_id, at=airflow.run_after, verdict=_of_state(airflow, "nothing to do"))
        for run, airflow in known.items()
        if run not in in_bucket
    ]
    return sorted([*in_bucket.values(), *only_in_airflow], key=lambda run: run.at, reverse=True)


def _report_figures(bucket: Bucket, run: str) -> dict[str, Any]:
    """Return what the page shows of a report's figures, and not the points of its map."""
    report = read_json(bucket, layout.report_data(run))
    shown = ("images", "rejects", "pca", "stages", "findings")
    return {name: report[name] for name in shown if name in report}


def _described(
    run: str,
    params: dict[str, Any],
    plan: dict[str, Any],
    report: dict[str, Any],
    *,
    airflow: AirflowRun | None,
    is_committed: bool,
) -> FeaturesRun:
    stages = report.get("stages", [])
    red = tuple(str(finding["message"]) for finding in report.get("findings", []) if finding["severity"] == "red")
    # A run without new photos commits nothing to the features, and is published all the same.
    is_published = is_committed or (bool(report) and not red and airflow is not None and airflow.state == "success")
    if is_published:
        verdict = "published"
    elif red:
        verdict = "not published"
    else:
        verdict = _of_state(airflow, "incomplete")
    return FeaturesRun(
        run=run,
        dag_run_id=str(params.get("dag_run_id", "")),
        at=airflow.run_after if airflow else (stages[0]["started_at"] if stages else ""),
        verdict=verdict,
        reasons=() if is_published else red,
        drop=str(params["drop"]),
        mode=str(params.get("mode", "")),
        photos=report.get("images"),
        rejects=report.get("rejects"),
        k=report.get("pca", {}).get("k"),
        seconds=sum(stage["seconds"] for stage in stages) if stages else None,
        usd=plan["spot_usd"] + plan["s3_usd"] if plan else None,
        has_report=bool(report),
    )


def _of_state(airflow: AirflowRun | None, otherwise: str) -> str:
    if airflow is None:
        return "incomplete"
    return {"queued": "running", "running": "running", "failed": "failed"}.get(airflow.state, otherwise)


def read_json(bucket: Bucket, key: str) -> dict[str, Any]:
    """Return an object's content, or {} where there is no such object."""
    try:
        content: dict[str, Any] = json.loads(bucket.read(key))
    except FileNotFoundError:
        return {}
    return content
