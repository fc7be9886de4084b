"""The Amazon provider's EMR operators, each overridden only where decisions 0015 and 0023 need it."""

import time
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.links.emr import EmrClusterLink
from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator,
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.providers.amazon.aws.utils import validate_execute_complete_event
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import Context

from fruits_airflow.emr import tags
from fruits_airflow.emr.hook import ReattachingHook, no_retry_if_refused
from fruits_airflow.emr.links import ClusterLogsLink, ModelCardLink, ReportLink, SparkHistoryLink, StepLogLink
from fruits_airflow.emr.steps import step
from fruits_airflow.plan import Plan
from fruits_airflow.settings import Settings
from fruits_airflow.ui.addresses import HAS_PAGES
from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER
from fruits_contract.features_pipeline import REPORT
from fruits_contract.manifest import Manifest
from fruits_contract.pipeline import Stage

TERMINATION_LIMIT_S = 3600
# The trigger's own limit comes first and has a message; this one applies when the trigger is lost.
TRIGGER_GRACE = timedelta(seconds=60)
# For errors of EMR and of the network; long enough in all for EMR to be away for two minutes.
RETRIES: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=30)}
LINKS = (EmrClusterLink(), ClusterLogsLink())
# To the page of what the stage has written
RESULT_LINKS = {REPORT.name: (ReportLink(),), EVALUATE_CLASSIFIER.name: (ModelCardLink(),)}


class CreateClusterOperator(EmrCreateJobFlowOperator):
    """Request the run's cluster, unless it exists already, and do not wait for it."""

    custom_operator_name = "EmrCreateJobFlow"
    aws_hook_class = ReattachingHook
    operator_extra_links = LINKS
    # on_kill reads it, possibly before the provider's execute has set it.
    _job_flow_id: str | None = None

    def __init__(self, **kwargs: Any) -> None:
        # Without an EMR connection, whose extra would be merged into the request unseen.
        super().__init__(emr_conn_id=None, **RETRIES, **kwargs)

    def execute(self, context: Context) -> str | None:
        """Return the id of the run's live cluster, or create the cluster of the plan."""
        job_flow = Plan.of_run(context).job_flow
        run_tags = tags.of_dag_run(context["ti"].dag_id, context["ti"].run_id)
        added = [{"Key": key, "Value": value} for key, value in run_tags.items()]
        self.job_flow_overrides = {**job_flow, "Tags": [*job_flow["Tags"], *added]}
        try:
            with no_retry_if_refused():
                return super().execute(context)
        except Exception as error:
            # The provider calls DescribeCluster after RunJobFlow. Failing there would lose the id.
            if self._job_flow_id is None:
                raise
            self.log.warning("Cluster %s is requested; its links are incomplete: %s", self._job_flow_id, error)
            return self._job_flow_id

    def on_kill(self) -> None:
        """Terminate a cluster that this try has started; one that it has found may be at work, and is the teardown's."""
        hook: Any = self.hook
        if hook.has_created_cluster:
            super().on_kill()


class StageOperator(EmrAddStepsOperator):
    """Run one stage as an EMR step, deferred, and log its manifest, or why it failed.

    A step that this task has added before is waited for. A step that failed is not repeated: Spark has repeated its tasks
    already, and the same data would fail the same way at the cluster's price.

    Parameters
    ----------
    stage
        A row of the pipeline's stage table; its name is the task's id.
    job_flow_id
        The run's cluster. (templated)
    """

    custom_operator_name = "EmrAddSteps"
    aws_hook_class = ReattachingHook
    operator_extra_links = LINKS
    # on_kill reads it.
    _step_id: str | None = None

    def __init__(self, *, stage: Stage, job_flow_id: str, **kwargs: Any) -> None:
        super().__init__(
            task_id=stage.name,
            task_display_name=stage.display_name,
            job_flow_id=job_flow_id,
            deferrable=True,
            **RETRIES,
            **kwargs,
        )
        self.stage = stage
        if HAS_PAGES:
            self.operator_extra_links = (*RESULT_LINKS.get(stage.name, ()), StepLogLink(), SparkHistoryLink(), *LINKS)

    def execute(self, context: Context) -> list[str]:
        """Add the step, unless it exists already, and defer until it has ended."""
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.commits import is_published

        plan = Plan.of_run(context)
        if self.stage.only_in_mode not in ("", plan.params.mode):
            self.log.info("Skipped: %s runs with mode=%s only", self.stage.name, self.stage.only_in_mode)
            raise AirflowSkipException(f"{self.stage.name} runs with mode={self.stage.only_in_mode} only")
        settings = Settings.load()
        bucket = Bucket.of(plan.params.bucket, region=plan.region, aws_conn_id=self.aws_conn_id)
        if is_published(plan.params.run, bucket=bucket):
            raise AirflowFailException(
                f"run {plan.params.run} has committed files to the tables, which must not be overwritten; "
                "clear publish to complete it, or trigger a new run"
            )
        self.steps = [step(self.stage, plan.params)]
        self.waiter_delay = settings.poll_s
        self.waiter_max_attempts = max(1, plan.stage_limit_s // settings.poll_s)
        self._task_instance = context["ti"]
        hook: Any = self.hook
        # The first try since the task was started or cleared has the number max_tries - retries + 1.
        hook.is_retry = context["ti"].try_number > context["ti"].max_tries - (self.retries or 0) + 1
        self._progress = {
            "bucket": plan.params.bucket,
            "region": plan.region,
            "progress_key": layout.progress(plan.params.run, self.stage.name),
        }
        with no_retry_if_refused():
            return super().execute(context)

    def defer(self, *, trigger: Any, **kwargs: Any) -> Any:
        """Defer with a time limit, which the provider does not set, and to a trigger that logs the stage's progress."""
        from fruits_airflow.emr.triggers import StageTrigger

        (self._step_id,) = trigger.serialized_fields["step_ids"]
        # Now, so that the link is there while the step runs, and when the trigger is lost.
        address = {"job_flow_id": str(self.job_flow_id), "step_id": self._step_id}
        self._task_instance.xcom_push(key=StepLogLink.key, value=address)
        hook: Any = self.hook
        since = hook.step_created_at or time.time()
        stage_trigger = StageTrigger.of(trigger, since=since, **self._progress)
        limit = timedelta(seconds=max(0.0, stage_trigger.deadline - time.time()))
        super().defer(trigger=stage_trigger, timeout=limit + TRIGGER_GRACE, **kwargs)

    def on_kill(self) -> None:
        """Cancel the step of a task that is killed before it is deferred; later its trigger does."""
        if self._step_id:
            emr: Any = self.hook.conn
            emr.cancel_steps(ClusterId=self.job_flow_id, StepIds=[self._step_id])

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Log the manifest of a stage that succeeded; raise with the end of its output otherwise."""
        from fruits_airflow.bucket import Bucket

        plan = Plan.of_run(context)
        bucket = Bucket.of(plan.params.bucket, region=plan.region, aws_conn_id=self.aws_conn_id)
        event = validate_execute_complete_event(event)
        if event["status"] != "success":
            from fruits_airflow.emr.failures import explain_step

            with no_retry_if_refused():
                cause, log = explain_step(
                    self.hook.conn,
                    bucket,
                    cluster=str(self.job_flow_id),
                    step=event["value"][0],
                    trigger_message=event.get("message", ""),
                )
            self.log.error("The last lines of the step's output:\n%s", "\n".join(log) or "(no log)")
            raise AirflowFailException(f"{self.stage.name} failed: {cause}")
        manifest = Manifest.from_json(bucket.read(layout.manifest(plan.params.run, self.stage.name)))
        self.log.info("%s", manifest.summary())
        self.log.info("%s", manifest.figures)
        levels = {"red": self.log.error, "warning": self.log.warning, "info": self.log.info}
        for finding in manifest.findings:
            levels[finding.severity]("%s: %s: %s", finding.severity, finding.check, finding.message)
        return event["value"]


class TerminateClusterOperator(EmrTerminateJobFlowOperator):
    """Terminate the run's cluster and wait, deferred, until it is gone.

    Parameters
    ----------
    job_flow_id
        The run's cluster. (templated)
    """

    custom_operator_name = "EmrTerminateJobFlow"
    operator_extra_links = LINKS

    def __init__(self, *, job_flow_id: str, **kwargs: Any) -> None:
        # Repeating TerminateJobFlows is harmless.
        super().__init__(job_flow_id=job_flow_id, deferrable=True, **RETRIES, **kwargs)

    def execute(self, context: Context) -> None:
        """Terminate before anything that can fail, such as the provider's request for the cluster's details."""
        emr: Any = self.hook.conn
        emr.terminate_job_flows(JobFlowIds=[self.job_flow_id])
        self.log.info("Termination of cluster %s is requested", self.job_flow_id)
        self.waiter_delay = min(Settings.load().poll_s, 15)
        self.waiter_max_attempts = TERMINATION_LIMIT_S // self.waiter_delay
        super().execute(context)

    def defer(self, *, trigger: Any, **kwargs: Any) -> Any:
        """Defer to a trigger that logs the cluster's state."""
        from fruits_airflow.emr.triggers import TerminationTrigger

        super().defer(trigger=TerminationTrigger.of(trigger), **kwargs)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Accept a cluster that ended with errors: the failed stage has reported them."""
        emr: Any = self.hook.conn
        state = emr.describe_cluster(ClusterId=self.job_flow_id)["Cluster"]["Status"]["State"]
        if state == "TERMINATED_WITH_ERRORS":
            self.log.info("Cluster %s is terminated, with errors", self.job_flow_id)
            return
        super().execute_complete(context, event)
