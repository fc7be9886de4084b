"""The cost of a cluster follows from EMR's own timeline of its instances."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fruits_airflow.emr.cluster import job_flow
from fruits_airflow.emr.instance_costs import instance_costs, total_usd
from fruits_airflow.emr.prices import BY_NAME, DISK_USD_PER_HOUR
from fruits_airflow.settings import Settings
from fruits_contract.features_pipeline import FeaturesRunParams
from tests.local.emr.emr_client import Service

BEGAN = datetime(2026, 11, 29, 3, tzinfo=UTC)


class Pages:
    """An EMR whose ListInstances has one page per instance."""

    def __init__(self, *instances: dict[str, Any]) -> None:
        self.instances = instances

    def get_paginator(self, operation: str) -> "Pages":
        assert operation == "list_instances"
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        return [{"Instances": [instance]} for instance in self.instances]


def instance(kind: str, market: str, *, minutes: float | None) -> dict[str, Any]:
    end = {} if minutes is None else {"EndDateTime": BEGAN + timedelta(minutes=minutes)}
    return {"InstanceType": kind, "Market": market, "Status": {"Timeline": {"CreationDateTime": BEGAN, **end}}}


def test_each_instance_costs_its_time_at_the_price_of_its_market() -> None:
    emr = Pages(instance("m5.xlarge", "ON_DEMAND", minutes=30), instance("c7a.xlarge", "SPOT", minutes=15))
    costs = instance_costs(emr, "j-1", now=BEGAN + timedelta(hours=9))
    primary, task = BY_NAME["m5.xlarge"], BY_NAME["c7a.xlarge"]
    expected = (primary.on_demand_usd + primary.emr_usd + DISK_USD_PER_HOUR) / 2
    expected += (task.spot_usd + task.emr_usd + DISK_USD_PER_HOUR) / 4
    assert total_usd(costs) == pytest.approx(expected)
    assert [cost.seconds for cost in costs] == [1800, 900]


def test_an_instance_that_still_runs_costs_until_now_and_a_short_one_a_minute() -> None:
    emr = Pages(instance("m5.xlarge", "SPOT", minutes=None), instance("m5.xlarge", "SPOT", minutes=0.1))
    running, short = instance_costs(emr, "j-1", now=BEGAN + timedelta(minutes=10))
    assert running.usd == pytest.approx(10 * (short.usd or 0))


def test_an_instance_without_a_price_is_not_taken_for_free() -> None:
    (unknown,) = instance_costs(Pages(instance("z9.huge", "SPOT", minutes=5)), "j-1", now=BEGAN)
    assert unknown.usd is None


@pytest.mark.slow
def test_a_cluster_of_the_emulator(emulated_account: Service, settings: Settings, params: FeaturesRunParams) -> None:
    emr = emulated_account.emr
    request = job_flow(settings, params, nodes=3)
    request.pop("LogUri")
    cluster = emr.run_job_flow(**{**request, "BootstrapActions": []})["JobFlowId"]
    emulated_account.wait_for_state(cluster, "WAITING")
    time.sleep(1)
    emr.terminate_job_flows(JobFlowIds=[cluster])
    emulated_account.wait_for_end(cluster)
    costs = instance_costs(emr, cluster, now=datetime.now(UTC))
    assert sorted(cost.market for cost in costs) == ["ON_DEMAND", "ON_DEMAND", "SPOT", "SPOT"]
    assert all(1 <= cost.seconds < 60 and cost.usd for cost in costs)
