"""The runs of `fruits_features`: what each did and whether it was published, from the bucket and Airflow's states."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from deltalake import DeltaTable

from fruits_airflow import run_cost
from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import has_run, is_rolled_back, open_table
from fruits_airflow.run_params import dag_id_of, read_run_params
from fruits_airflow.ui.airflow_runs import AirflowRun
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURES_PIPELINE, REPORT

READERS = 16


@dataclass(frozen=True, kw_only=True)
class FeaturesRun:
    """One row of the page of all runs; a figure that is not known is None.

    Parameters
    ----------
    verdict
        published, rolled back, not published, running, failed, nothing to do, or incomplete.
    reasons
        Messages of the red findings.
    at
        When the run was due or, if Airflow has forgotten it, when its first stage started: UTC, ISO 8601.
    k
        Number of components of the PCA.
    seconds
        The stages' own work together, without the start of the cluster and of Spark.
    usd
        Price that the report expects, with Spot task nodes and S3's requests; None for a report without.
    actual_usd
        What the cluster has cost; None where that was not recorded.
    is_actual_complete
        Whether `actual_usd` has all instances; one of a type without a price is missing from it.
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
    actual_usd: float | None = None
    is_actual_complete: bool = True
    has_report: bool = False


def read_runs(bucket: Bucket, known: Mapping[str, AirflowRun]) -> list[FeaturesRun]:
    """Return all runs, the newest first: those of the bucket, and those of which only Airflow knows.

    Reads three small objects per run.
    """
    tables = {key: open_table(bucket, key) for key in columns.TABLES}
    with ThreadPoolExecutor(READERS) as readers:
        names = bucket.folders(layout.RUNS)
        all_params = readers.map(lambda run: read_run_params(bucket, run), names)
        headlines = readers.map(lambda run: _headline(bucket, run), names)
        costs = readers.map(lambda run: _figures(bucket, run, run_cost.TASK), names)
        in_bucket = {
            run: replace(
                _described(run, params, headline, airflow=known.get(run), committed=_committed(tables, run)),
                actual_usd=cost.get("usd"),
                is_actual_complete=all(instance["usd"] is not None for instance in cost.get("instances", ())),
            )
            for run, params, headline, cost in zip(names, all_params, headlines, costs, strict=True)
            if dag_id_of(params) == FEATURES_PIPELINE.dag_id
        }
    only_in_airflow = [
        FeaturesRun(run=run, dag_run_id=airflow.dag_run_id, at=airflow.run_after, verdict=_of_state(airflow, "nothing to do"))
        for run, airflow in known.items()
        if run not in in_bucket
    ]
    return sorted([*in_bucket.values(), *only_in_airflow], key=lambda run: run.at, reverse=True)


def _headline(bucket: Bucket, run: str) -> dict[str, Any]:
    """Return the headline of a run's report from the stage's manifest: report.json also has the points of its map."""
    headline: dict[str, Any] = _figures(bucket, run, REPORT.name).get("headline", {})
    return headline


def _figures(bucket: Bucket, run: str, stage: str) -> dict[str, Any]:
    """Return the figures of a manifest; {} where there is none."""
    manifest: dict[str, Any] = bucket.read_json(layout.manifest(run, stage)) or {}
    figures: dict[str, Any] = manifest.get("figures", {})
    return figures


def _committed(tables: Mapping[str, DeltaTable | None], run: str) -> str:
    """Return 'published' or 'rolled back', by the tables; '' for a run that was never committed."""
    if has_run(tables[layout.FEATURES_TABLE], run):  # committed last
        return "published"
    return "rolled back" if any(is_rolled_back(table, run) for table in tables.values()) else ""


def _described(
    run: str, params: dict[str, Any], headline: dict[str, Any], *, airflow: AirflowRun | None, committed: str
) -> FeaturesRun:
    red = tuple(headline.get("red", ()))
    if committed:
        verdict = committed
    elif red:
        verdict = "not published"
    else:
        verdict = _of_state(airflow, "incomplete")
    return FeaturesRun(
        run=run,
        dag_run_id=str(params.get("dag_run_id", "")),
        at=airflow.run_after if airflow else headline.get("started_at", ""),
        verdict=verdict,
        reasons=() if committed else red,
        drop=str(params["drop"]),
        mode=str(params.get("mode", "")),
        photos=headline.get("images"),
        rejects=headline.get("rejects"),
        k=headline.get("k"),
        seconds=headline.get("seconds"),
        usd=headline.get("usd"),
        has_report=bool(headline),
    )


def _of_state(airflow: AirflowRun | None, otherwise: str) -> str:
    if airflow is None:
        return "incomplete"
    return {"queued": "running", "running": "running", "failed": "failed"}.get(airflow.state, otherwise)
