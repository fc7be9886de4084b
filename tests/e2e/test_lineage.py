"""With the OpenLineage provider installed and switched on, a run's tasks are events, and its steps carry the parent run."""

import pytest

from fruits_contract.features_pipeline import FEATURES_PIPELINE
from tests.e2e.embedded_stack import Ended, Stack

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


def test_every_task_of_a_run_starts_and_completes(stack: Stack, first: Ended) -> None:
    events = {(event["job"]["name"], event["eventType"]) for event in stack.lineage_events(first.dag_run.id)}
    for task in first.tasks:
        assert {(f"fruits_features.{task}", "START"), (f"fruits_features.{task}", "COMPLETE")} <= events


def test_the_steps_carry_the_parent_run(stack: Stack, first: Ended) -> None:
    (root,) = {
        event["run"]["facets"]["parent"]["run"]["runId"]
        for event in stack.lineage_events(first.dag_run.id)
        if "parent" in event["run"]["facets"]
    }
    steps = stack.emr.list_steps(ClusterId=stack.cluster_of(first)["Id"])["Steps"]
    assert {step["Name"] for step in steps} == {stage.name for stage in FEATURES_PIPELINE.stages}
    for step in steps:
        arguments = step["Config"]["Args"]
        assert arguments[0] == "spark-submit"
        assert f"spark.openlineage.parentJobName=fruits_features.{step['Name']}" in arguments
        assert f"spark.openlineage.rootParentRunId={root}" in arguments
