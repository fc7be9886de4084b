"""The operators of the DAGs: Airflow's own, taught this project's words and what to say when something fails."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator,
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.providers.amazon.aws.utils import validate_execute_complete_event
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from fruits_airflow.failures import explain_step
from fruits_airflow.settings import Settings
from fruits_airflow.steps import step
from fruits_contract import layout
from fruits_contract.manifest import Manifest
from fruits_contract.params import RunParams
from fruits_contract.stages import FIT_PCA, Stage


class WaitForDropSensor(S3KeySensor):
    """Wait, deferred, until a drop is complete; a drop that does not come in time skips the run.

    Parameters
    ----------
    drop
        Name of the drop. (templated)
    """

    template_fields: Sequence[str] = (*S3KeySensor.template_fields, "drop")

    def __init__(self, *, drop: str, **kwargs: Any) -> None:
        super().__init__(bucket_key="", deferrable=True, **kwargs)
        self.drop = drop

    def execute(self, context: Context) -> Any:
        """Look once, then defer; how long and how often are settings of the deployment."""
        settings = Settings.load()
        self.bucket_name = settings.bucket
        self.bucket_key = layout.ready(layout.check_name(self.drop, what="drop"))
        self.timeout, self.poke_interval = settings.wait_for_drop_s, settings.poll_s
        self.log.info("Waiting up to %s s for s3://%s/%s", self.timeout, self.bucket_name, self.bucket_key)
        return super().execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the wait.

        `soft_fail` is not used, because it would also skip on errors such as missing rights on the bucket.
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            self.log.info("Drop %s has not come in the waiting time: nothing to do", self.drop)
            raise AirflowSkipException(f"drop {self.drop} has not come") from error


class CreateClusterOperator(EmrCreateJobFlowOperator):
    """Ask EMR for the run's cluster, and do not wait for it: once the id is known, the teardown can always end it.

    Parameters
    ----------
    plan
        What `plan_batch` returned. (templated)
    """

    template_fields: Sequence[str] = (*EmrCreateJobFlowOperator.template_fields, "plan")

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        # emr_conn_id=None: the whole request is ours; a connection's extra would be merged into it unseen.
        super().__init__(emr_conn_id=None, wait_for_completion=False, **kwargs)
        self.plan = plan

    def execute(self, context: Context) -> str | None:
        """Create the cluster that the plan asks for and return its id."""
        self.job_flow_overrides = self.plan["job_flow"]
        return super().execute(context)


class StageOperator(EmrAddStepsOperator):
    """Run one stage as an EMR step, deferred, and say in the task's log what it found or why it failed.

    Parameters
    ----------
    stage
        A row of the stage table; its name is the task's id.
    plan
        What `plan_batch` returned. (templated)
    """

    template_fields: Sequence[str] = (*EmrAddStepsOperator.template_fields, "plan")

    def __init__(self, *, stage: Stage, plan: Any, **kwargs: Any) -> None:
        # No retry: Spark has repeated its tasks already, and the same data would fail the same way at the cluster's price.
        super().__init__(task_id=stage.name, deferrable=True, retries=0, **kwargs)
        self.stage = stage
        self.plan = plan

    def execute(self, context: Context) -> Any:
        """Add the step and defer until it has ended."""
        # Here, because it loads deltalake and pyarrow, and this module is read with every parse of a DAG.
        from fruits_airflow.tables import COLUMNS, Table

        params = RunParams(**self.plan["params"])
        if self.stage == FIT_PCA and params.mode != "fit":
            self.log.info("No fit: PCA %s is used as it is", params.pca)
            raise AirflowSkipException(f"PCA {params.pca} is used")
        settings = Settings.load()
        if any(Table(params.bucket, key, settings.region).has(params.run) for key in COLUMNS):
            raise AirflowFailException(
                f"run {params.run} is published, and its files are part of the tables; "
                "trigger a new run instead of clearing this one"
            )
        self.steps = [step(self.stage, params)]
        self.waiter_delay = settings.poll_s
        self.waiter_max_attempts = max(1, settings.stage_limit_s // settings.poll_s)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Log the manifest of a stage that went well; raise with the end of its stderr otherwise."""
        params = RunParams(**self.plan["params"])
        s3 = S3Hook(self.aws_conn_id)
        event = validate_execute_complete_event(event)
        if event["status"] != "success":
            (step_id,) = event["value"]
            line, log = explain_step(self.hook.conn, s3.conn, bucket=params.bucket, cluster=str(self.job_flow_id), step=step_id)
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


class TerminateClusterOperator(EmrTerminateJobFlowOperator):
    """End the run's cluster and wait, deferred, until it is gone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(deferrable=True, waiter_max_attempts=240, **kwargs)

    def execute(self, context: Context) -> None:
        """Ask EMR to end the cluster."""
        self.waiter_delay = min(Settings.load().poll_s, 15)
        super().execute(context)
