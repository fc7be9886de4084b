"""Tasks hand the plan's requests to EMR, wait without a worker, survive what AWS may answer, and report what happened."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import botocore.session
import pytest
from airflow.providers.amazon.aws.hooks.emr import EmrHook
from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator,
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, TaskDeferred
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from fruits_airflow import bucket, commits
from fruits_airflow.emr.links import ClusterLogsLink, ModelCardLink, ReportLink, SparkHistoryLink, StepLogLink
from fruits_airflow.emr.operators import (
    RETRIES,
    TERMINATION_LIMIT_S,
    TRIGGER_GRACE,
    CreateClusterOperator,
    StageOperator,
    TerminateClusterOperator,
)
from fruits_airflow.emr.steps import step
from fruits_airflow.emr.triggers import StageTrigger, TerminationTrigger
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER
from fruits_contract.features_pipeline import FEATURES_PIPELINE, FEATURIZE, FIT_PCA, REPORT, FeaturesRunParams
from fruits_contract.manifest import Finding, Manifest
from fruits_contract.pipeline import Stage

OK = {"ResponseMetadata": {"HTTPStatusCode": 200}}
CLUSTER = {"Cluster": {"Id": "j-1", "LogUri": "s3n://photos/logs/"}}
TAG = {"Key": "project", "Value": "fruits"}
JOB_FLOW: dict[str, Any] = {"Name": "fruits r1", "Instances": {"KeepJobFlowAliveWhenNoSteps": True}, "Tags": [TAG]}
RUN_TAGS = [{"Key": "dag_id", "Value": FEATURES_PIPELINE.dag_id}, {"Key": "dag_run_id", "Value": "manual__1"}]
REQUEST = JOB_FLOW | {"Tags": [TAG, *RUN_TAGS]}
LIVE = {"ClusterStates": ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]}


class TaskInstance:
    """The XComs of a run: `plan_batch` has returned its plan."""

    dag_id = FEATURES_PIPELINE.dag_id
    run_id = "manual__1"
    try_number = 1
    max_tries = RETRIES["retries"]

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.pushed: dict[str, Any] = {}

    def xcom_pull(self, *, task_ids: str) -> Any:
        return {"plan_batch": self.plan}[task_ids]

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: settings))
    return settings


@pytest.fixture
def emr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """A client of EMR that accepts exactly the expected requests, and refuses what AWS's model does not know."""
    session = botocore.session.get_session()
    client = session.create_client("emr", "eu-north-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(EmrHook, "conn", client)
    monkeypatch.setattr(EmrHook, "conn_region_name", "eu-north-1")
    monkeypatch.setattr(EmrHook, "conn_partition", "aws")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def task_instance(params: FeaturesRunParams) -> TaskInstance:
    return TaskInstance(
        {
            "pipeline": FEATURES_PIPELINE.dag_id,
            "params": asdict(params),
            "region": "eu-north-1",
            "photos": 3,
            "job_flow": JOB_FLOW,
        }
    )


@pytest.fixture
def context(task_instance: TaskInstance) -> Any:
    return {"ti": task_instance}


class ManifestBucket:
    """A bucket that holds the manifest of featurize, and no tables."""

    manifest = Manifest(
        stage="featurize",
        run="r1",
        started_at="2026-11-22T00:00:00Z",
        seconds=4.0,
        rows_in=3,
        findings=(Finding("counts", "warning", "one is missing"),),
    )

    def read(self, key: str) -> bytes:
        return {"runs/r1/featurize.json": self.manifest.to_json().encode()}[key]


@pytest.fixture
def unpublished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket.Bucket, "of", classmethod(lambda cls, *_, **__: ManifestBucket()))
    monkeypatch.setattr(commits, "open_table", lambda *_: None)


def stage_task(stage: Any = FEATURIZE) -> StageOperator:
    return StageOperator(stage=stage, job_flow_id="j-1")


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


# ---- a stage


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
    assert trigger.waiter_delay * trigger.attempts == settings.stage_limit_s
    assert deferred.value.timeout is not None
    left = settings.stage_limit_s + TRIGGER_GRACE.total_seconds() - deferred.value.timeout.total_seconds()
    assert 0 <= left < 60
    link = StepLogLink().format_link(**task_instance.pushed[StepLogLink.key])
    assert link == "/plugin/fruits/fruits/logs/j-1/s-1", "the link is there while the step runs"
    link = SparkHistoryLink().format_link(**task_instance.pushed[SparkHistoryLink.key])
    assert link == "/fruits/spark/j-1", "outside Airflow's frame"


@pytest.mark.usefixtures("unpublished")
def test_the_time_limit_of_a_stage_counts_from_its_step(
    settings: Settings, params: FeaturesRunParams, context: Any, emr: Stubber
) -> None:
    added = datetime.now(UTC) - timedelta(seconds=settings.stage_limit_s - 600)
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


# ---- links


@pytest.mark.parametrize(("stage", "first"), [(REPORT, "Report"), (EVALUATE_CLASSIFIER, "Model card"), (FEATURIZE, "Step log")])
def test_a_stage_links_to_what_it_has_written(stage: Stage, first: str) -> None:
    names = [link.name for link in stage_task(stage).operator_extra_links]
    assert names[0] == first
    assert names[-4:] == ["Step log", "Spark history", "EMR Cluster", "EMR Cluster Logs"]


@pytest.mark.parametrize(
    ("base_url", "prefix"),
    [
        ("", "/plugin/fruits/fruits"),
        ("https://airflow.example.org", "https://airflow.example.org/plugin/fruits/fruits"),
        ("https://example.org/airflow/", "https://example.org/airflow/plugin/fruits/airflow/fruits"),
    ],
)
def test_links_open_the_pages_inside_airflow(monkeypatch: pytest.MonkeyPatch, base_url: str, prefix: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    key = Mock(run_id="scheduled__2026-11-22T03:00:00+00:00")
    run = layout.run_name(key.run_id)
    assert ReportLink().get_link(Mock(), ti_key=key) == f"{prefix}/runs/{run}"
    assert ModelCardLink().get_link(Mock(), ti_key=key) == f"{prefix}/trainings/{run}"


def test_the_link_opens_the_clusters_folder_below_the_prefix_of_the_logs() -> None:
    link = ClusterLogsLink().format_link(
        region_name="eu-north-1", aws_domain="aws.amazon.com", job_flow_id="j-1", log_uri="photos/logs/"
    )
    assert link == "https://console.aws.amazon.com/s3/buckets/photos?region=eu-north-1&prefix=logs/j-1/"


def test_a_cluster_without_logs_has_no_link() -> None:
    assert ClusterLogsLink().format_link(region_name="eu-north-1", aws_domain="aws.amazon.com", job_flow_id="j-1") == ""
