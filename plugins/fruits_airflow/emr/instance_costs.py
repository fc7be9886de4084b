"""What a cluster has cost, by EMR's own timeline of its instances and the price table."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fruits_airflow.emr.prices import BY_NAME, DISK_USD_PER_HOUR

LEAST_BILLED_S = 60


@dataclass(frozen=True, kw_only=True)
class InstanceCost:
    """One instance of a cluster.

    Parameters
    ----------
    market
        SPOT or ON_DEMAND.
    seconds
        From its request to its end: a little more than AWS bills, which begins once the instance runs.
    usd
        EC2, EMR's surcharge and disks; None for a type without a price.
    """

    type: str
    market: str
    seconds: float
    usd: float | None


def instance_costs(emr: Any, cluster: str, *, now: datetime) -> list[InstanceCost]:
    """Return the cost of every instance that a cluster has had; one without an end costs until `now`.

    Parameters
    ----------
    emr
        A boto3 client of EMR.
    """
    pages = emr.get_paginator("list_instances").paginate(ClusterId=cluster)
    return [_cost_of(instance, now=now) for page in pages for instance in page["Instances"]]


def total_usd(costs: Iterable[InstanceCost]) -> float:
    """Return the sum of what has a price."""
    return sum(cost.usd or 0.0 for cost in costs)


def _cost_of(instance: dict[str, Any], *, now: datetime) -> InstanceCost:
    timeline = instance["Status"]["Timeline"]
    seconds = (timeline.get("EndDateTime", now) - timeline["CreationDateTime"]).total_seconds()
    kind, market = instance["InstanceType"], instance.get("Market", "ON_DEMAND")
    usd = None
    if price := BY_NAME.get(kind):
        ec2_usd = price.spot_usd if market == "SPOT" else price.on_demand_usd
        usd = (ec2_usd + price.emr_usd + DISK_USD_PER_HOUR) * max(seconds, LEAST_BILLED_S) / 3600
    return InstanceCost(type=kind, market=market, seconds=seconds, usd=usd)
