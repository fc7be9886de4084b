"""Records what a run's cluster has cost: in a manifest, in the run's report, and in the sum of its month."""

import json
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fruits_airflow.bucket import Bucket
from fruits_airflow.emr.instance_costs import InstanceCost, instance_costs, total_usd
from fruits_contract import layout, report_cost
from fruits_contract.manifest import Finding, Manifest
from fruits_contract.plan_summary import PlanSummary

log = logging.getLogger(__name__)

TASK = "record_cost"
WARNED_ABOVE = 2  # times the estimate


@dataclass(frozen=True, kw_only=True)
class MonthCost:
    """What the clusters of a month, e.g. '2026-11', have cost so far."""

    month: str
    runs: int
    usd: float


def record_cost(bucket: Bucket, emr: Any, *, run: str, cluster: str, now: datetime) -> float:
    """Write what a run's cluster has cost, and return it in US dollars; doing it again writes the same.

    Writes `runs/<run>/record_cost.json` and `costs/<month>/<run>.json`, and completes the run's report where it has one.

    Parameters
    ----------
    emr
        A boto3 client of EMR.
    """
    costs = instance_costs(emr, cluster, now=now)
    usd = total_usd(costs)
    expected_usd = PlanSummary.from_json(bucket.read(layout.plan_summary(run))).spot_usd
    manifest = Manifest(
        stage=TASK,
        run=run,
        started_at=now.isoformat(timespec="seconds"),
        seconds=0.0,
        figures={
            "usd": usd,
            "expected_usd": expected_usd,
            "cluster": cluster,
            "instances": [cost.__dict__ for cost in costs],
        },
        findings=_findings(costs, usd=usd, expected_usd=expected_usd),
    )
    bucket.write(layout.manifest(run, TASK), manifest.to_json().encode())
    entry = {"run": run, "cluster": cluster, "usd": usd}
    month = _month_of(emr, cluster)
    bucket.write(layout.run_cost(month, run), json.dumps(entry).encode())
    _complete_report(bucket, run, usd=usd)
    log.info("%.3f USD; the plan expected %.3f USD", usd, expected_usd)
    for (kind, market), count in Counter((cost.type, cost.market) for cost in costs).items():
        log.info("%s x %s, %s", count, kind, market)
    for finding in manifest.findings:
        log.warning("%s", finding.message)
    spent = cost_of_month(bucket, month)
    log.info("%s so far: %.2f USD for the clusters of %s runs", spent.month, spent.usd, spent.runs)
    return usd


def _month_of(emr: Any, cluster: str) -> str:
    """Return the month in which a cluster was requested, e.g. '2026-11' (UTC)."""
    created: datetime = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["Timeline"]["CreationDateTime"]
    return f"{created.astimezone(UTC):%Y-%m}"


def cost_of_month(bucket: Bucket, month: str) -> MonthCost:
    """Return the sum of a month."""
    entries = [json.loads(bucket.read(item.key)) for item in bucket.objects(layout.month_costs(month))]
    return MonthCost(month=month, runs=len(entries), usd=sum(entry["usd"] for entry in entries))


def _findings(costs: list[InstanceCost], *, usd: float, expected_usd: float) -> tuple[Finding, ...]:
    findings = []
    if usd > WARNED_ABOVE * expected_usd:
        message = f"the cluster has cost {usd:.2f} USD, more than twice the {expected_usd:.2f} USD that were expected"
        findings.append(Finding("actual_cost", "warning", message))
    if unknown := sorted({cost.type for cost in costs if cost.usd is None}):
        message = f"instances without a price are left out: {', '.join(unknown)}; add them to fruits_airflow/emr/prices.py"
        findings.append(Finding("unknown_price", "warning", message))
    return tuple(findings)


def _complete_report(bucket: Bucket, run: str, *, usd: float) -> None:
    """Put the cost into the report, which was written while the cluster was still running."""
    try:
        page, data = bucket.read(layout.report_page(run)), bucket.read(layout.report_data(run))
    except FileNotFoundError:
        return
    bucket.write(layout.report_page(run), report_cost.with_actual(page.decode(), usd=usd).encode())
    bucket.write(layout.report_data(run), json.dumps({**json.loads(data), "actual_usd": usd}).encode())
