"""What the plan writes is what the report reads."""

from fruits_contract.plan_summary import PlanSummary


def test_a_summary_survives_json() -> None:
    summary = PlanSummary(instance="m7a.xlarge", nodes=2, expected_seconds=600.5, spot_usd=0.11, on_demand_usd=0.2, s3_usd=0.004)
    assert PlanSummary.from_json(summary.to_json()) == summary
    assert summary.previous_run == ""
