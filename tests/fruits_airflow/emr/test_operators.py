"""Tasks hand over to AWS what the plan says, wait without a worker, and say what came of it."""

from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import botocore.session
import pytest
from airflow.providers.amazon.aws.hooks.emr import EmrHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.triggers.emr import EmrAddStepsTrigger, EmrTerminateJobFlowTrigger
from airflow.providers.amazon.aws.triggers.s3 import S3KeyTrigger
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, TaskDeferralTimeout, TaskDeferred
from botocore.stub import Stubber

from fruits_airflow import commits
from fruits_airflow.emr import operators
from fruits_airflow.emr.operators import (
    ClusterLink,
    CreateClusterOperator,
    StageOperator,
    TerminateClusterOperator,
    WaitForDropSensor,
)
from fruits_airflow.emr.steps import step
from fruits_airflow.settings import Settings
from fruits_contract.features_pipeline import FEATURIZE, FIT_PCA, FeaturesRunParams
from fruits_contract.manifest import Finding, Manifest

CONTEXT: Any = {}


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: settings))
    return settings


@pytest.fixture
def emr(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of EMR that takes exactly the requests it is told to expect, and refuses what AWS's model does not know."""
    session = botocore.session.get_session()
    client = session.create_client("emr", "eu-north-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(EmrHook, "conn", client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def plan(params: FeaturesRunParams) -> dict[str, Any]:
    flow = {"Name": "fruits r1", "Instances": {"KeepJobFlowAliveWhenNoSteps": True}}
    return {"params": {**vars(params)}, "region": "eu-north-1", "photos": 3, "job_flow": flow}


@pytest.fixture
def nothing_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "open_table", lambda *_, **__: None)


def stage_task(plan: dict[str, Any], stage: Any = FEATURIZE) -> StageOperator:
    return StageOperator(stage=stage, plan=plan, job_flow_id="j-1")


# ---- wait_for_drop


def test_a_drop_that_is_there_is_not_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(S3Hook, "check_for_key", lambda self, key, bucket: not asked.append((key, bucket)))
    WaitForDropSensor(task_id="wait_for_drop", drop="first").execute(CONTEXT)
    assert asked == [("raw/first/_READY", "photos")]


def test_a_drop_that_is_not_there_is_waited_for_without_a_worker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Hook, "check_for_key", lambda self, key, bucket: False)
    with pytest.raises(TaskDeferred) as deferred:
        WaitForDropSensor(task_id="wait_for_drop", drop="first").execute(CONTEXT)
    trigger = deferred.value.trigger
    assert isinstance(trigger, S3KeyTrigger)
    assert (trigger.bucket_name, trigger.bucket_key, trigger.poke_interval) == ("photos", "raw/first/_READY", settings.poll_s)
    assert deferred.value.timeout == timedelta(seconds=settings.wait_for_drop_s)


def test_the_wait_ends_well_with_the_drop_and_badly_with_an_error() -> None:
    task = WaitForDropSensor(task_id="wait_for_drop", drop="first")
    task.execute_complete(CONTEXT, {"status": "success"})
    with pytest.raises(AirflowException, match="Access Denied"):
        task.execute_complete(CONTEXT, {"status": "error", "message": "Access Denied"})


def test_a_drop_that_does_not_come_in_time_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: Any) -> None:
        raise TaskDeferralTimeout("timeout")

    monkeypatch.setattr(operators.BaseSensorOperator.__mro__[1], "resume_execution", too_late)
    with pytest.raises(AirflowSkipException, match="drop first has not come"):
        WaitForDropSensor(task_id="wait_for_drop", drop="first").resume_execution("execute_complete", {}, CONTEXT)


# ---- create_cluster


def test_the_cluster_is_the_one_of_the_plan_and_is_not_waited_for(plan: dict[str, Any], emr: Any) -> None:
    emr.add_response("run_job_flow", {"JobFlowId": "j-1"}, plan["job_flow"])
    assert CreateClusterOperator(task_id="create_cluster", plan=plan).execute(CONTEXT) == "j-1"


def test_killed_after_the_request_it_ends_the_cluster(plan: dict[str, Any], emr: Any) -> None:
    task = CreateClusterOperator(task_id="create_cluster", plan=plan)
    task.on_kill()
    emr.add_response("run_job_flow", {"JobFlowId": "j-1"}, plan["job_flow"])
    emr.add_response("terminate_job_flows", {}, {"JobFlowIds": ["j-1"]})
    task.execute(CONTEXT)
    task.on_kill()


# ---- a stage


@pytest.mark.usefixtures("nothing_is_published")
def test_a_stage_adds_its_step_and_waits_without_a_worker(
    settings: Settings, params: FeaturesRunParams, plan: dict[str, Any], emr: Any
) -> None:
    emr.add_response("add_job_flow_steps", {"StepIds": ["s-1"]}, {"JobFlowId": "j-1", "Steps": [step(FEATURIZE, params)]})
    with pytest.raises(TaskDeferred) as deferred:
        stage_task(plan).execute(CONTEXT)
    trigger = deferred.value.trigger
    assert isinstance(trigger, EmrAddStepsTrigger)
    assert trigger.waiter_args == {"ClusterId": "j-1", "StepIds": ["s-1"]}
    assert trigger.waiter_delay * trigger.attempts == settings.stage_limit_s
    assert deferred.value.timeout is not None
    assert deferred.value.timeout > timedelta(seconds=settings.stage_limit_s), "the trigger says what it waited for"


def test_a_fit_that_is_not_asked_for_is_skipped_and_costs_nothing(plan: dict[str, Any], emr: Any) -> None:
    with pytest.raises(AirflowSkipException, match="PCA p1 is used"):
        stage_task(plan, FIT_PCA).execute(CONTEXT)


def test_a_published_run_is_not_written_over(
    settings: Settings, plan: dict[str, Any], emr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "open_table", lambda bucket, key, *, region: key)
    monkeypatch.setattr(commits, "has_run", lambda table, run: (table, run) == ("tables/rejects", "r1"))
    with pytest.raises(AirflowFailException, match="run r1 is published"):
        stage_task(plan).execute(CONTEXT)


def test_a_stage_that_went_well_tells_its_findings(plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("counts", "warning", "one is missing")
    manifest = Manifest(
        stage="featurize", run="r1", started_at="2026-11-22T00:00:00Z", seconds=4.0, rows_in=3, findings=(finding,)
    )
    monkeypatch.setattr(
        S3Hook, "read_key", lambda self, key, bucket: manifest.to_json() if key == "runs/r1/featurize.json" else ""
    )
    monkeypatch.setattr(StageOperator, "log", log := Mock())
    assert stage_task(plan).execute_complete(CONTEXT, {"status": "success", "value": ["s-1"]}) == ["s-1"]
    assert log.info.call_args.args[1:6] == ("featurize", 3, 0, 0, 4.0)
    log.warning.assert_called_once_with("%s: %s: %s", "warning", "counts", "one is missing")


def test_a_failed_stage_tells_why(plan: dict[str, Any], emr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fruits_airflow.emr.failures.explain_step", lambda *_, step, **__: (f"step {step} is FAILED: no memory", [])
    )
    monkeypatch.setattr(S3Hook, "conn", object())
    with pytest.raises(AirflowException, match="featurize failed: step s-1 is FAILED: no memory"):
        stage_task(plan).execute_complete(CONTEXT, {"status": "error", "value": ["s-1"]})


# ---- terminate_cluster


def test_the_cluster_is_ended_and_its_end_waited_for_without_a_worker(settings: Settings, emr: Any) -> None:
    emr.add_response("terminate_job_flows", {}, {"JobFlowIds": ["j-1"]})
    with pytest.raises(TaskDeferred) as deferred:
        TerminateClusterOperator(task_id="terminate_cluster", job_flow_id="j-1").execute(CONTEXT)
    trigger = deferred.value.trigger
    assert isinstance(trigger, EmrTerminateJobFlowTrigger)
    assert trigger.waiter_args == {"ClusterId": "j-1"}
    assert trigger.waiter_delay * trigger.attempts == operators.END_LIMIT_S


def test_a_cluster_that_does_not_end_is_told() -> None:
    task = TerminateClusterOperator(task_id="terminate_cluster", job_flow_id="j-1")
    task.execute_complete(CONTEXT, {"status": "success"})
    with pytest.raises(AirflowException, match="cluster j-1 has not ended"):
        task.execute_complete(CONTEXT, {"status": "error", "message": "too long"})


# ---- the button


def test_the_button_opens_the_cluster_in_the_console_of_its_region(plan: dict[str, Any]) -> None:
    link = ClusterLink().get_link(stage_task(plan), ti_key=None)
    assert link == "https://eu-north-1.console.aws.amazon.com/emr/home?region=eu-north-1#/clusterDetails/j-1"


def test_without_a_cluster_the_button_leads_nowhere(plan: dict[str, Any]) -> None:
    assert ClusterLink().get_link(CreateClusterOperator(task_id="create_cluster", plan=plan), ti_key=None) == ""
