"""Tasks hand the plan's requests to EMR, wait without a worker, and survive what AWS may answer."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator,
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from fruits_airflow.emr.operators import (
    TERMINATION_LIMIT_S,
    CreateClusterOperator,
    StageOperator,
    TerminateClusterOperator,
)
from fruits_airflow.emr.triggers import TerminationTrigger
from fruits_airflow.settings import Settings
from tests.fruits_airflow.emr.stubbed_emr import (
    CLUSTER,
    LIVE,
    OK,
    REQUEST,
    TaskInstance,
    context,
    emr,
    settings,
    stage_task,
    task_instance,
    unpublished,
)

__all__ = ["context", "emr", "settings", "task_instance", "unpublished"]


@pytest.mark.parametrize(
    ("operator", "providers"),
    [
        (CreateClusterOperator, EmrCreateJobFlowOperator),
        (StageOperator, EmrAddStepsOperator),
        (TerminateClusterOperator, EmrTerminateJobFlowOperator),
    ],
)
def test_an_operator_keeps_what_users_of_the_provider_know(operator: Any, providers: Any) -> None:
    assert issubclass(operator, providers)
    assert operator.custom_operator_name == providers.__name__.removesuffix("Operator")
    assert operator.template_fields == providers.template_fields
    assert {"aws_conn_id", "region_name", "verify"} <= set(operator.template_fields)
    assert [link.name for link in operator.operator_extra_links] == [link.name for link in providers.operator_extra_links]


# ---- create_cluster


def test_the_cluster_is_the_one_of_the_plan_and_is_not_waited_for(
    context: Any, task_instance: TaskInstance, emr: Stubber
) -> None:
    emr.add_response("list_clusters", {"Clusters": []}, LIVE)
    emr.add_response("run_job_flow", {"JobFlowId": "j-1", **OK}, REQUEST)
    emr.add_response("describe_cluster", CLUSTER, {"ClusterId": "j-1"})
    assert CreateClusterOperator(task_id="create_cluster").execute(context) == "j-1"
    assert task_instance.pushed["emr_cluster"]["job_flow_id"] == "j-1"


def test_an_error_after_the_request_does_not_lose_the_cluster(context: Any, emr: Stubber) -> None:
    emr.add_response("list_clusters", {"Clusters": []}, LIVE)
    emr.add_response("run_job_flow", {"JobFlowId": "j-1", **OK}, REQUEST)
    emr.add_client_error("describe_cluster", "ThrottlingException")
    assert CreateClusterOperator(task_id="create_cluster").execute(context) == "j-1"


def test_a_cleared_setup_returns_the_runs_cluster(context: Any, emr: Stubber) -> None:
    emr.add_response("list_clusters", {"Clusters": [{"Id": "j-1", "Name": "fruits r1"}]}, LIVE)
    status = {"State": "RUNNING", "Timeline": {"CreationDateTime": datetime.now(UTC)}}
    emr.add_response("describe_cluster", {"Cluster": {"Id": "j-1", "Status": status, "Tags": REQUEST["Tags"]}})
    emr.add_response("describe_cluster", CLUSTER, {"ClusterId": "j-1"})
    task = CreateClusterOperator(task_id="create_cluster")
    assert task.execute(context) == "j-1"
    task.on_kill()  # terminates nothing: the run may be at work on the cluster


def test_a_refused_request_fails_the_task_for_good(context: Any, emr: Stubber) -> None:
    emr.add_response("list_clusters", {"Clusters": []}, LIVE)
    emr.add_client_error("run_job_flow", "ValidationException")
    with pytest.raises(AirflowFailException, match="ValidationException"):
        CreateClusterOperator(task_id="create_cluster").execute(context)


def test_a_throttled_request_is_left_to_the_next_try(context: Any, emr: Stubber) -> None:
    emr.add_client_error("list_clusters", "ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        CreateClusterOperator(task_id="create_cluster").execute(context)


def test_a_throttled_request_was_not_carried_out_and_is_repeated(context: Any, emr: Stubber) -> None:
    emr.add_response("list_clusters", {"Clusters": []}, LIVE)
    emr.add_client_error("run_job_flow", "ThrottlingException")
    emr.add_response("run_job_flow", {"JobFlowId": "j-1", **OK}, REQUEST)
    emr.add_response("describe_cluster", CLUSTER, {"ClusterId": "j-1"})
    assert CreateClusterOperator(task_id="create_cluster").execute(context) == "j-1"


def test_a_request_that_may_have_been_carried_out_is_not_repeated(context: Any, emr: Stubber) -> None:
    emr.add_response("list_clusters", {"Clusters": []}, LIVE)
    emr.add_client_error("run_job_flow", "InternalServerError", http_status_code=500)
    with pytest.raises(ClientError, match="InternalServerError"):
        CreateClusterOperator(task_id="create_cluster").execute(context)


def test_killed_after_the_request_it_terminates_the_cluster(context: Any, emr: Stubber) -> None:
    task = CreateClusterOperator(task_id="create_cluster")
    task.on_kill()
    emr.add_response("list_clusters", {"Clusters": []}, LIVE)
    emr.add_response("run_job_flow", {"JobFlowId": "j-1", **OK}, REQUEST)
    emr.add_response("describe_cluster", CLUSTER, {"ClusterId": "j-1"})
    emr.add_response("terminate_job_flows", OK, {"JobFlowIds": ["j-1"]})
    task.execute(context)
    task.on_kill()


def test_an_emr_connection_is_not_merged_into_the_request() -> None:
    assert CreateClusterOperator(task_id="create_cluster").emr_conn_id is None


# ---- terminate_cluster


def test_the_cluster_is_terminated_and_its_end_waited_for_without_a_worker(
    settings: Settings, context: Any, emr: Stubber
) -> None:
    emr.add_response("terminate_job_flows", OK, {"JobFlowIds": ["j-1"]})
    emr.add_response("describe_cluster", CLUSTER, {"ClusterId": "j-1"})
    emr.add_response("terminate_job_flows", OK, {"JobFlowIds": ["j-1"]})
    with pytest.raises(TaskDeferred) as deferred:
        TerminateClusterOperator(task_id="terminate_cluster", job_flow_id="j-1").execute(context)
    trigger = deferred.value.trigger
    assert isinstance(trigger, TerminationTrigger)
    assert trigger.waiter_args == {"ClusterId": "j-1"}
    assert trigger.waiter_delay * trigger.attempts == TERMINATION_LIMIT_S


@pytest.mark.parametrize("failing", ["settings", "describe_cluster"])
def test_the_cluster_is_terminated_whatever_fails_afterwards(
    settings: Settings, context: Any, emr: Stubber, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    emr.add_response("terminate_job_flows", OK, {"JobFlowIds": ["j-1"]})
    if failing == "settings":
        monkeypatch.setattr(Settings, "load", Mock(side_effect=ConnectionError("no database")))
    else:
        emr.add_client_error("describe_cluster", "ThrottlingException")
    with pytest.raises((ConnectionError, ClientError)):
        TerminateClusterOperator(task_id="terminate_cluster", job_flow_id="j-1").execute(context)


@pytest.mark.parametrize(("state", "event"), [("TERMINATED", "success"), ("TERMINATED_WITH_ERRORS", "error")])
def test_a_terminated_cluster_is_a_success_whatever_its_steps_were(emr: Stubber, state: str, event: str) -> None:
    emr.add_response("describe_cluster", {"Cluster": {"Status": {"State": state}}}, {"ClusterId": "j-1"})
    TerminateClusterOperator(task_id="terminate_cluster", job_flow_id="j-1").execute_complete({}, {"status": event})


def test_a_cluster_that_does_not_end_fails_the_task(emr: Stubber) -> None:
    emr.add_response("describe_cluster", {"Cluster": {"Status": {"State": "TERMINATING"}}}, {"ClusterId": "j-1"})
    with pytest.raises(AirflowException, match="too long"):
        TerminateClusterOperator(task_id="terminate_cluster", job_flow_id="j-1").execute_complete(
            {}, {"status": "error", "message": "too long"}
        )


@pytest.mark.parametrize(
    "task",
    [
        CreateClusterOperator(task_id="create_cluster"),
        stage_task(),
        TerminateClusterOperator(task_id="terminate_cluster", job_flow_id="j-1"),
    ],
    ids=lambda task: task.task_id,
)
def test_emr_may_be_away_for_two_minutes(task: Any) -> None:
    assert task.retries * task.retry_delay >= timedelta(minutes=2)
