"""A stage adds its step or finds it, waits without a worker, and reports what happened."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from botocore.stub import Stubber

from fruits_airflow import commits
from fruits_airflow.emr.links import SparkHistoryLink, StepLogLink
from fruits_airflow.emr.operators import (
    RETRIES,
    TRIGGER_GRACE,
    StageOperator,
)
from fruits_airflow.emr.steps import step
from fruits_airflow.emr.triggers import StageTrigger
from fruits_airflow.settings import Settings
from fruits_contract.features_pipeline import FEATURIZE, FIT_PCA, FeaturesRunParams
from tests.fruits_airflow.emr.stubbed_emr import (
    CLUSTER,
    OK,
    STAGE_LIMIT_S,
    TaskInstance,
    context,
    emr,
    settings,
    stage_task,
    task_instance,
    unpublished,
)

__all__ = ["context", "emr", "settings", "task_instance", "unpublished"]


def add_stage(emr: Stubber, params: FeaturesRunParams, *, steps: Sequence[dict[str, Any]] = ()) -> None:
    """Expect the requests of a stage on a cluster with these steps."""
    emr.add_response("describe_cluster", CLUSTER, {"ClusterId": "j-1"})
    emr.add_response("list_steps", {"Steps": list(steps)}, {"ClusterId": "j-1"})
    if not steps:
        request = {"JobFlowId": "j-1", "Steps": [step(FEATURIZE, params)]}
        emr.add_response("add_job_flow_steps", {"StepIds": ["s-1"], **OK}, request)


@pytest.mark.usefixtures("unpublished")
def test_a_stage_adds_its_step_and_waits_without_a_worker(
    settings: Settings, params: FeaturesRunParams, context: Any, task_instance: TaskInstance, emr: Stubber
) -> None:
    add_stage(emr, params)
    with pytest.raises(TaskDeferred) as deferred:
        stage_task().execute(context)
    trigger = deferred.value.trigger
    assert isinstance(trigger, StageTrigger)
    assert trigger.serialized_fields["progress_key"] == "runs/r1/featurize.progress.json"
    assert trigger.serialized_fields["bucket"] == "photos"
    assert trigger.waiter_args == {"ClusterId": "j-1", "StepIds": ["s-1"]}
    assert trigger.waiter_delay * trigger.attempts == STAGE_LIMIT_S
    assert deferred.value.timeout is not None
    left = STAGE_LIMIT_S + TRIGGER_GRACE.total_seconds() - deferred.value.timeout.total_seconds()
    assert 0 <= left < 60
    link = StepLogLink().format_link(**task_instance.pushed[StepLogLink.key])
    assert link == "/plugin/fruits/fruits/logs/j-1/s-1", "the link is there while the step runs"
    link = SparkHistoryLink().format_link(**task_instance.pushed[SparkHistoryLink.key])
    assert link == "/fruits/spark/j-1", "outside Airflow's frame"


@pytest.mark.usefixtures("unpublished")
def test_the_time_limit_of_a_stage_counts_from_its_step(
    settings: Settings, params: FeaturesRunParams, context: Any, emr: Stubber
) -> None:
    added = datetime.now(UTC) - timedelta(seconds=STAGE_LIMIT_S - 600)
    status = {"State": "RUNNING", "Timeline": {"CreationDateTime": added}}
    add_stage(emr, params, steps=[{"Id": "s-0", "Name": "featurize", "Status": status}])
    with pytest.raises(TaskDeferred) as deferred:
        stage_task().execute(context)
    assert deferred.value.trigger.waiter_args == {"ClusterId": "j-1", "StepIds": ["s-0"]}
    assert deferred.value.timeout is not None
    assert deferred.value.timeout <= timedelta(seconds=600) + TRIGGER_GRACE


@pytest.mark.usefixtures("unpublished")
@pytest.mark.parametrize(
    ("try_number", "max_tries", "is_retry"),
    [(1, 5, False), (2, 5, True), (2, 6, False), (3, 6, True)],
    ids=["first", "retry", "cleared", "retry after cleared"],
)
def test_a_stage_knows_a_retry_from_a_cleared_task(
    settings: Settings,
    params: FeaturesRunParams,
    task_instance: TaskInstance,
    emr: Stubber,
    try_number: int,
    max_tries: int,
    is_retry: bool,
) -> None:
    assert RETRIES["retries"] == 5
    task_instance.try_number, task_instance.max_tries = try_number, max_tries
    context: Any = {"ti": task_instance}
    add_stage(emr, params)
    task = stage_task()
    with pytest.raises(TaskDeferred):
        task.execute(context)
    hook: Any = task.hook
    assert hook.is_retry is is_retry


@pytest.mark.usefixtures("unpublished")
def test_a_stage_that_is_killed_before_it_is_deferred_cancels_its_step(
    settings: Settings, params: FeaturesRunParams, context: Any, emr: Stubber
) -> None:
    task = stage_task()
    task.on_kill()
    add_stage(emr, params)
    with pytest.raises(TaskDeferred):
        task.execute(context)
    emr.add_response("cancel_steps", {}, {"ClusterId": "j-1", "StepIds": ["s-1"]})
    task.on_kill()


@pytest.mark.usefixtures("unpublished")
def test_a_step_that_is_refused_fails_the_stage_for_good(settings: Settings, context: Any, emr: Stubber) -> None:
    emr.add_response("describe_cluster", CLUSTER, {"ClusterId": "j-1"})
    emr.add_response("list_steps", {"Steps": []}, {"ClusterId": "j-1"})
    emr.add_client_error("add_job_flow_steps", "ValidationException", "the cluster is terminated")
    with pytest.raises(AirflowFailException, match="the cluster is terminated"):
        stage_task().execute(context)


def test_a_stage_of_another_mode_is_skipped_and_costs_nothing(context: Any, emr: Stubber) -> None:
    with pytest.raises(AirflowSkipException, match="fit_pca runs with mode=fit only"):
        stage_task(FIT_PCA).execute(context)


@pytest.mark.usefixtures("unpublished")
def test_a_published_run_is_not_overwritten(
    settings: Settings, context: Any, emr: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {"tables/rejects": Mock(transaction_version={"r1": commits.PUBLISHED}.get)}
    monkeypatch.setattr(commits, "open_table", lambda _, key: tables.get(key))
    with pytest.raises(AirflowFailException, match="run r1 has committed files"):
        stage_task().execute(context)


@pytest.mark.usefixtures("unpublished")
def test_a_stage_that_succeeded_logs_its_findings(settings: Settings, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Mock()
    monkeypatch.setattr(StageOperator, "log", log)
    assert stage_task().execute_complete(context, {"status": "success", "value": ["s-1"]}) == ["s-1"]
    log.info.assert_any_call("%s", "featurize: 3 in, 0 out, 0 rejected in 4.0 s")
    log.warning.assert_called_once_with("%s: %s: %s", "warning", "counts", "one is missing")


@pytest.mark.usefixtures("unpublished")
def test_a_failed_stage_reports_the_cause_and_is_not_repeated(
    settings: Settings, context: Any, emr: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain(*_: Any, step: str, **__: Any) -> tuple[str, list[str]]:
        return f"step {step} is FAILED: no memory", []

    monkeypatch.setattr("fruits_airflow.emr.failures.explain_step", explain)
    with pytest.raises(AirflowFailException, match="featurize failed: step s-1 is FAILED: no memory"):
        stage_task().execute_complete(context, {"status": "error", "value": ["s-1"]})
