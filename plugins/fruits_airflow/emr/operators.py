"""The operators of the DAGs, in this project's words, and what is said when something fails.

Airflow's own base classes; the hooks and triggers of the Amazon provider are loaded when a task runs. So parsing a DAG, which
Airflow does all the time and before each task, loads neither boto3 nor the tables.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from fruits_airflow.emr.steps import step
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.features_pipeline import FIT_PCA, FeaturesRunParams
from fruits_contract.manifest import Manifest

# Airflow's name for the connection by which hooks and triggers find AWS.
from fruits_contract.pipeline import Stage

# Airflow's name for the connection by which hooks and triggers find AWS.
AWS = "aws_default"
END_LIMIT_S = 3600


def _emr() -> Any:
    """Return a boto3 client of EMR, by Airflow's connection."""
    from airflow.providers.amazon.aws.hooks.emr import EmrHook

    # emr_conn_id=None: every request is ours; a connection's extra would be merged into it unseen.
    return EmrHook(aws_conn_id=AWS, emr_conn_id=None).conn


class ClusterLink(BaseOperatorLink):
    """A button in Airflow that opens the run's cluster in the AWS console."""

    name = "EMR cluster"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address, or nothing where the task has not come to a cluster."""
        plan, cluster = operator.plan, operator.job_flow_id
        if not cluster or not isinstance(plan, dict):
            return ""
        region = plan["region"]
        return f"https://{region}.console.aws.amazon.com/emr/home?region={region}#/clusterDetails/{cluster}"


class WaitForDropSensor(BaseSensorOperator):
    """Wait, deferred, until a drop is complete; a drop that does not come in time skips the run.

    Parameters
    ----------
    drop
        Name of the drop. (templated)
    """

    template_fields: Sequence[str] = ("drop",)

    def __init__(self, *, drop: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop = drop

    def execute(self, context: Context) -> None:
        """Look once, then defer; how long and how often are settings of the deployment."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
        from airflow.providers.amazon.aws.triggers.s3 import S3KeyTrigger

        settings = Settings.load()
        key = layout.ready(layout.check_name(self.drop, what="drop"))
        self.log.info("Waiting up to %s s for %s", settings.wait_for_drop_s, layout.uri(settings.bucket, key))
        if S3Hook(AWS).check_for_key(key, settings.bucket):
            return
        self.defer(
            trigger=S3KeyTrigger(settings.bucket, key, aws_conn_id=AWS, poke_interval=settings.poll_s),
            method_name="execute_complete",
            timeout=timedelta(seconds=settings.wait_for_drop_s),
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Raise what the look-out has met with, if it was not the drop."""
        if event["status"] != "success":
            raise AirflowException(event.get("message", f"waiting for drop {self.drop} ended with {event}"))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the wait.

        `soft_fail` is not used, because it would also skip on errors such as missing rights on the bucket.
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            self.log.info("Drop %s has not come in the waiting time: nothing to do", self.drop)
            raise AirflowSkipException(f"drop {self.drop} has not come") from error


class CreateClusterOperator(BaseOperator):
    """Ask EMR for the run's cluster, and do not wait for it: once the id is known, the teardown can always end it.

    Parameters
    ----------
    plan
        What `plan_batch` returned. (templated)
    """

    template_fields: Sequence[str] = ("plan",)
    operator_extra_links = (ClusterLink(),)

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.job_flow_id = ""

    def execute(self, context: Context) -> str:
        """Create the cluster that the plan asks for and return its id."""
        self.job_flow_id = _emr().run_job_flow(**self.plan["job_flow"])["JobFlowId"]
        self.log.info("Cluster %s is asked for", self.job_flow_id)
        return self.job_flow_id

    def on_kill(self) -> None:
        """End a cluster whose id the teardown may not come to know."""
        if self.job_flow_id:
            _emr().terminate_job_flows(JobFlowIds=[self.job_flow_id])


class StageOperator(BaseOperator):
    """Run one stage as an EMR step, deferred, and say in the task's log what it found or why it failed.

    Parameters
    ----------
    stage
        A row of the stage table; its name is the task's id.
    plan
        What `plan_batch` returned. (templated)
    job_flow_id
        The run's cluster. (templated)
    """

    template_fields: Sequence[str] = ("plan", "job_flow_id")
    operator_extra_links = (ClusterLink(),)

    def __init__(self, *, stage: Stage, plan: Any, job_flow_id: str, **kwargs: Any) -> None:
        # No retry: Spark has repeated its tasks already, and the same data would fail the same way at the cluster's price.
        super().__init__(task_id=stage.name, retries=0, **kwargs)
        self.stage = stage
        self.plan = plan
        self.job_flow_id = job_flow_id

    def execute(self, context: Context) -> Any:
        """Add the step and defer until it has ended."""
        from airflow.providers.amazon.aws.triggers.emr import EmrAddStepsTrigger

        from fruits_airflow.commits import is_published

        params = FeaturesRunParams(**self.plan["params"])
        if self.stage == FIT_PCA and params.mode != "fit":
            self.log.info("No fit: PCA %s is used as it is", params.pca)
            raise AirflowSkipException(f"PCA {params.pca} is used")
        settings = Settings.load()
        if is_published(params.run, bucket=params.bucket, region=settings.region):
            raise AirflowFailException(
                f"run {params.run} is published, and its files are part of the tables; "
                "trigger a new run instead of clearing this one"
            )
        asked = [step(self.stage, params)]
        step_ids = _emr().add_job_flow_steps(JobFlowId=self.job_flow_id, Steps=asked)["StepIds"]
        self.log.info("Step %s is added to cluster %s", *step_ids, self.job_flow_id)
        self.defer(
            trigger=EmrAddStepsTrigger(
                job_flow_id=self.job_flow_id,
                step_ids=step_ids,
                waiter_delay=settings.poll_s,
                waiter_max_attempts=max(1, settings.stage_limit_s // settings.poll_s),
                aws_conn_id=AWS,
            ),
            method_name="execute_complete",
            # the trigger's own limit comes first and says what it waited for; this one is for a trigger that is gone
            timeout=timedelta(seconds=settings.stage_limit_s + 60),
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Log the manifest of a stage that went well; raise with the end of its stderr otherwise."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        params = FeaturesRunParams(**self.plan["params"])
        s3 = S3Hook(AWS)
        if event["status"] != "success":
            from fruits_airflow.emr.failures import explain_step

            (step_id,) = event["value"]
            line, log = explain_step(_emr(), s3.conn, bucket=params.bucket, cluster=self.job_flow_id, step=step_id)
            self.log.error("The last lines that the step printed:\n%s", "\n".join(log) or "(no log)")
            raise AirflowException(f"{self.stage.name} failed: {line}")
        manifest = Manifest.from_json(s3.read_key(layout.manifest(params.run, self.stage.name), params.bucket))
        self.log.info(
            "%s: %s in, %s out, %s rejected in %s s %s",
            *(manifest.stage, manifest.rows_in, manifest.rows_out, manifest.rows_rejected, manifest.seconds),
            manifest.figures,
        )
        for finding in manifest.findings:
            say = {"red": self.log.error, "warning": self.log.warning}.get(finding.severity, self.log.info)
            say("%s: %s: %s", finding.severity, finding.check, finding.message)
        return event["value"]


class TerminateClusterOperator(BaseOperator):
    """End the run's cluster and wait, deferred, until it is gone.

    Parameters
    ----------
    job_flow_id
        The run's cluster. (templated)
    """

    template_fields: Sequence[str] = ("job_flow_id",)

    def __init__(self, *, job_flow_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_flow_id = job_flow_id

    def execute(self, context: Context) -> None:
        """Ask EMR to end the cluster."""
        from airflow.providers.amazon.aws.triggers.emr import EmrTerminateJobFlowTrigger

        poll_s = min(Settings.load().poll_s, 15)
        _emr().terminate_job_flows(JobFlowIds=[self.job_flow_id])
        self.log.info("Cluster %s is told to end", self.job_flow_id)
        self.defer(
            trigger=EmrTerminateJobFlowTrigger(
                job_flow_id=self.job_flow_id,
                waiter_delay=poll_s,
                waiter_max_attempts=END_LIMIT_S // poll_s,
                aws_conn_id=AWS,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=END_LIMIT_S + 60),
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Raise when the cluster has not ended in time."""
        if event["status"] != "success":
            raise AirflowException(f"cluster {self.job_flow_id} has not ended: {event}")
        self.log.info("Cluster %s has ended", self.job_flow_id)
