"""What a run has cost is in its manifest, in its report and in the sum of the month."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fruits_airflow.bucket import Bucket
from fruits_airflow.run_cost import TASK, cost_of_month, record_cost
from fruits_contract import layout, report_cost
from fruits_contract.manifest import Manifest
from fruits_contract.plan_summary import PlanSummary

pytestmark = pytest.mark.slow

BEGAN = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)


class Emr:
    """An EMR with one terminated cluster of a primary and a core node."""

    def __init__(self, *, minutes: float, kind: str = "m5.xlarge") -> None:
        self.timeline = {"CreationDateTime": BEGAN, "EndDateTime": BEGAN + timedelta(minutes=minutes)}
        self.kind = kind

    def get_paginator(self, _: str) -> "Emr":
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        node = {"InstanceType": self.kind, "Market": "ON_DEMAND", "Status": {"Timeline": self.timeline}}
        return [{"Instances": [node, node]}]

    def describe_cluster(self, **_: str) -> dict[str, Any]:
        return {"Cluster": {"Status": {"Timeline": self.timeline}}}


@pytest.fixture
def planned(bucket: Bucket) -> Bucket:
    """A bucket with a run that is expected to cost 0.20 USD."""
    summary = PlanSummary(instance="m5.xlarge", nodes=1, expected_seconds=900, spot_usd=0.20, on_demand_usd=0.3, s3_usd=0.01)
    bucket.write(layout.plan_summary("r1"), summary.to_json().encode())
    return bucket


def recorded(bucket: Bucket, emr: Emr, run: str = "r1", cluster: str = "j-1") -> Manifest:
    record_cost(bucket, emr, run=run, cluster=cluster, now=BEGAN)
    return Manifest.from_json(bucket.read(layout.manifest(run, TASK)))


def test_the_cost_is_recorded_and_recording_it_again_changes_nothing(planned: Bucket) -> None:
    manifest = recorded(planned, Emr(minutes=20))
    assert 0.1 < manifest.figures["usd"] < 0.2
    assert manifest.figures["expected_usd"] == 0.20
    assert not manifest.findings
    assert recorded(planned, Emr(minutes=20)) == manifest
    month = cost_of_month(planned, "2026-11")
    assert (month.runs, month.usd) == (1, manifest.figures["usd"]), "the month in which the cluster was requested"
    assert cost_of_month(planned, "2026-12").runs == 0


def test_a_cost_of_more_than_twice_the_estimate_is_a_warning(planned: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    (finding,) = recorded(planned, Emr(minutes=90)).findings
    assert (finding.check, finding.severity) == ("actual_cost", "warning")
    assert "more than twice the 0.20 USD that were expected" in finding.message
    assert finding.message in caplog.text


def test_an_instance_without_a_price_is_a_warning_and_no_low_price(planned: Bucket) -> None:
    planned.write(layout.report_page("r1"), report_cost.UNKNOWN.encode())
    planned.write(layout.report_data("r1"), b"{}")
    manifest = recorded(planned, Emr(minutes=20, kind="z9.huge"))
    assert [finding.check for finding in manifest.findings] == ["unknown_price"]
    assert "z9.huge" in manifest.findings[0].message
    assert "at least 0.00 USD" in planned.read(layout.report_page("r1")).decode()


def test_a_second_cluster_of_a_run_adds_to_run_report_and_month(planned: Bucket) -> None:
    planned.write(layout.report_page("r1"), report_cost.UNKNOWN.encode())
    planned.write(layout.report_data("r1"), b"{}")
    first = recorded(planned, Emr(minutes=20, kind="z9.huge"), cluster="j-0").figures["usd"]
    first += recorded(planned, Emr(minutes=20), cluster="j-1").figures["usd"]
    for minutes in (60, 50):  # recording it again replaces it
        manifest = recorded(planned, Emr(minutes=minutes), cluster="j-2")
    usd = pytest.approx(3.5 * first)
    assert manifest.figures["usd"] == usd
    clusters = [instance["cluster"] for instance in manifest.figures["instances"]]
    assert clusters == ["j-0", "j-0", "j-1", "j-1", "j-2", "j-2"]
    assert [finding.check for finding in manifest.findings] == ["actual_cost", "unknown_price"], "0.40 USD, by the sum only"
    assert f"at least {3.5 * first:.2f} USD" in planned.read(layout.report_page("r1")).decode()
    assert json.loads(planned.read(layout.report_data("r1")))["actual_usd"] == usd
    month = cost_of_month(planned, "2026-11")
    assert (month.runs, month.usd) == (1, usd)


def test_a_run_without_an_estimate_is_recorded_all_the_same(bucket: Bucket) -> None:
    manifest = recorded(bucket, Emr(minutes=90), run="by-an-earlier-release")
    assert manifest.figures["expected_usd"] is None
    assert not manifest.findings


def test_the_report_shows_it(planned: Bucket) -> None:
    planned.write(layout.report_page("r1"), f"<p>Actual: {report_cost.UNKNOWN}.</p>".encode())
    planned.write(layout.report_data("r1"), b'{"run": "r1"}')
    for minutes in (60, 30):
        usd = recorded(planned, Emr(minutes=minutes)).figures["usd"]
        page = planned.read(layout.report_page("r1")).decode()
        assert f"{usd:.2f} USD" in page and page.count("USD") == 1
        assert json.loads(planned.read(layout.report_data("r1"))) == {"run": "r1", "actual_usd": usd}
