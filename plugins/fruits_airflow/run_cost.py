"""Records what a run's cluster has cost: in a manifest, in the run's report, and in the sum of its month."""

import json
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Context

from fruits_airflow.bucket import AWS_CONN_ID, Bucket
from fruits_airflow.emr.instance_costs import instance_costs, total_usd
from fruits_airflow.plan import Plan
from fruits_contract import layout, report_cost
from fruits_contract.manifest import Finding, Manifest
from fruits_contract.plan_summary import PlanSummary

log = logging.getLogger(__name__)

TASK = "record_cost"
READERS = 16
WARNED_ABOVE = 2  # times the estimate


@dataclass(frozen=True, kw_only=True)
class MonthCost:
    """What the clusters of a month, e.g. '2026-11', have cost so far."""

    month: str
    runs: int
    usd: float


def record_cost_of_run(context: Context, *, cluster: str) -> float:
    """Record what the cluster of a DAG run has cost (`record_cost`).

    Raises
    ------
    AirflowSkipException
        The run has had no cluster.
    """
    from airflow.providers.amazon.aws.hooks.emr import EmrHook

    if not cluster:
        raise AirflowSkipException("the run has had no cluster")
    plan = Plan.of_run(context)
    emr = EmrHook(aws_conn_id=AWS_CONN_ID, emr_conn_id=None, region_name=plan.region).conn
    bucket = Bucket.of(plan.params.bucket, region=plan.region)
    return record_cost(bucket, emr, run=plan.params.run, cluster=cluster, now=datetime.now(UTC))


def record_cost(bucket: Bucket, emr: Any, *, run: str, cluster: str, now: datetime) -> float:
    """Record what a cluster has cost, and return what its run has cost, in US dollars; doing it again replaces the record.

    Writes `runs/<run>/record_cost.json`, with all recorded clusters of the run, and `costs/<month>/<run>.<cluster>.json`, and
    completes the run's report where there is one.

    Parameters
    ----------
    emr
        A boto3 client of EMR.
    """
    costs = instance_costs(emr, cluster, now=now)
    instances = _instances_of_other_clusters(bucket, run, cluster)
    instances += [{"cluster": cluster, **asdict(cost)} for cost in costs]
    usd = sum(instance["usd"] or 0.0 for instance in instances)
    expected_usd = _expected_usd(bucket, run)
    manifest = Manifest(
        stage=TASK,
        run=run,
        started_at=now.isoformat(timespec="seconds"),
        seconds=0.0,
        figures={"usd": usd, "expected_usd": expected_usd, "instances": instances},
        findings=_findings(instances, usd=usd, expected_usd=expected_usd),
    )
    bucket.write(layout.manifest(run, TASK), manifest.to_json().encode())
    entry = {"run": run, "cluster": cluster, "usd": total_usd(costs)}
    month = _month_of(emr, cluster)
    bucket.write(layout.cluster_cost(month, run, cluster), json.dumps(entry).encode())
    _complete_report(bucket, run, usd=usd, is_complete=all(instance["usd"] is not None for instance in instances))
    log.info("Cluster %s has cost %.3f USD", cluster, total_usd(costs))
    expected = "an unknown price" if expected_usd is None else f"{expected_usd:.3f} USD"
    log.info("Run %s has cost %.3f USD; the plan expected %s", run, usd, expected)
    for (kind, market), count in Counter((cost.type, cost.market) for cost in costs).items():
        log.info("%s x %s, %s", count, kind, market)
    for finding in manifest.findings:
        log.warning("%s", finding.message)
    spent = cost_of_month(bucket, month)
    log.info("%s so far: %.2f USD for the clusters of %s runs", spent.month, spent.usd, spent.runs)
    return usd


def _instances_of_other_clusters(bucket: Bucket, run: str, cluster: str) -> list[dict[str, Any]]:
    """Return the recorded instances of the run's other clusters: tasks that are cleared after the teardown get a new cluster."""
    try:
        figures = Manifest.from_json(bucket.read(layout.manifest(run, TASK))).figures
    except FileNotFoundError:
        return []
    return [instance for instance in figures["instances"] if instance.get("cluster", cluster) != cluster]


def _month_of(emr: Any, cluster: str) -> str:
    """Return the month in which a cluster was requested, e.g. '2026-11' (UTC)."""
    created: datetime = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["Timeline"]["CreationDateTime"]
    return f"{created.astimezone(UTC):%Y-%m}"


def cost_of_month(bucket: Bucket, month: str) -> MonthCost:
    """Return the sum of a month; reads one small object per cluster."""
    keys = [item.key for item in bucket.objects(layout.month_costs(month))]
    with ThreadPoolExecutor(READERS) as readers:
        entries = [json.loads(content) for content in readers.map(bucket.read, keys)]
    runs = {entry["run"] for entry in entries}
    return MonthCost(month=month, runs=len(runs), usd=sum(entry["usd"] for entry in entries))


def _expected_usd(bucket: Bucket, run: str) -> float | None:
    """Return what the plan expected; None for a training that an earlier release has planned."""
    try:
        return PlanSummary.from_json(bucket.read(layout.plan_summary(run))).spot_usd
    except FileNotFoundError:
        return None


def _findings(instances: list[dict[str, Any]], *, usd: float, expected_usd: float | None) -> tuple[Finding, ...]:
    findings = []
    if expected_usd is not None and usd > WARNED_ABOVE * expected_usd:
        message = f"the run has cost {usd:.2f} USD, more than twice the {expected_usd:.2f} USD that were expected"
        findings.append(Finding("actual_cost", "warning", message))
    if unknown := sorted({instance["type"] for instance in instances if instance["usd"] is None}):
        message = f"instances without a price are left out: {', '.join(unknown)}; add them to fruits_airflow/emr/prices.py"
        findings.append(Finding("unknown_price", "warning", message))
    return tuple(findings)


def _complete_report(bucket: Bucket, run: str, *, usd: float, is_complete: bool) -> None:
    """Put the cost into the report, which was written while the cluster was still running."""
    described = f"{usd:.2f} USD" if is_complete else f"at least {usd:.2f} USD"
    try:
        page, data = bucket.read(layout.report_page(run)), bucket.read(layout.report_data(run))
    except FileNotFoundError:
        return
    bucket.write(layout.report_page(run), report_cost.with_actual(page.decode(), described).encode())
    bucket.write(layout.report_data(run), json.dumps({**json.loads(data), "actual_usd": usd}).encode())
