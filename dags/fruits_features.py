"""
### From a drop of fruit photos to published features.

**What**: waits for a finished drop in `raw/<drop>/`, works out which photos are new, starts an EMR cluster, runs the stages
`featurize`, `fit_pca`, `transform_pca`, `validate`, `report` on it, publishes the results in one commit per table, and takes the
cluster down whatever happened.

**When**: every day at 03:00 UTC, for the drop named by the day (`raw/2026-11-22/`); or by hand, for any drop.

**Params**: `drop`, `mode`, `variance`, `components`, `max_reject_ratio`, `engine`, `release`; the trigger form explains each.

**Reads**: `raw/<drop>/`, `code/<release>/`, `models/`, `tables/`.

**Writes**: `runs/<run>/`, `tables/`, `models/pca/`, `models/current.json`, `logs/`.

**If it fails**: the red task's log ends with the last lines that the step printed, or with the findings of `validate`. A run
with a failed stage or a red finding publishes nothing: mend the cause and trigger the same drop again. A `publish` that broke
off is made whole by clearing it. A drop that does not come in the waiting time, or that
holds nothing new, ends as skipped, without a cluster. A run that is marked as failed while it is going on takes its cluster
down, publishes nothing, and ends as failed by `fail_if_aborted`.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Param, chain, dag, get_current_context, task, teardown

from fruits_airflow.aborts import check_not_aborted, record_skip
from fruits_airflow.assets import FEATURES
from fruits_airflow.emr.operators import CreateClusterOperator, StageOperator, TerminateClusterOperator, WaitForDropSensor
from fruits_contract.features_pipeline import FEATURES_PIPELINE, FEATURIZE, FIT_PCA, REPORT, TRANSFORM_PCA, VALIDATE

DROP = "{{ params.drop or dag_run.run_after.strftime('%Y-%m-%d') }}"
# A template and not create_cluster.output: that would tie every stage to the setup task directly, which Airflow allows only
# with the trigger rule all_success, and transform_pca needs another one.
CLUSTER = "{{ ti.xcom_pull(task_ids='create_cluster') }}"


@dag(
    doc_md=__doc__,
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # More than one, because a run that waits for its drop, deferred, must not keep a person from running another one.
    max_active_runs=4,
    # A last resort, longer than all limits of the tasks together: at this one Airflow skips even the teardown, and the
    # cluster goes down by its own idle time only. A stage that hangs is ended by `stage_limit_s` (settings).
    dagrun_timeout=timedelta(days=3),
    params={spec.name: Param(spec.default, description=spec.description, **spec.schema) for spec in FEATURES_PIPELINE.trigger},
    default_args={"owner": "fruits"},
    tags=["fruits", "features"],
)
def fruits_features() -> None:
    """Wire the tasks."""

    @task(retries=2, retry_delay=timedelta(seconds=30), on_skipped_callback=record_skip)
    def plan_batch(drop: str) -> dict[str, Any]:
        """List the drop, subtract what is known, decide on fit or transform and on the cluster."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        from fruits_airflow.planning import plan_run
        from fruits_airflow.settings import Settings

        context = get_current_context()
        return plan_run(
            S3Hook().conn,
            Settings.load(),
            dag_run_id=context["dag_run"].run_id,
            drop=drop,
            asked=dict(context["params"]),
        )

    # One at a time over all runs: whether a row is new or replaces another is decided on what the tables hold just then.
    @task(outlets=[FEATURES], retries=2, retry_delay=timedelta(seconds=30), max_active_tis_per_dag=1)
    def publish(plan: dict[str, Any]) -> dict[str, Any]:
        """Commit the run's files to the tables, unless a finding is red."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        from fruits_airflow.publishing import publish_run
        from fruits_airflow.settings import Settings
        from fruits_contract.features_pipeline import FeaturesRunParams

        return publish_run(S3Hook().conn, Settings.load(), FeaturesRunParams(**plan["params"]))

    # A teardown, because marking a run as failed skips all other tasks. Not after publish, which stays a leaf and so decides
    # alone whether any other run failed.
    @teardown(on_failure_fail_dagrun=True)
    @task(retries=2, retry_delay=timedelta(seconds=30))
    def fail_if_aborted() -> None:
        """Fail a run that was marked as failed; Airflow would call it a success once the cluster is gone."""
        check_not_aborted(get_current_context(), result="publish", may_skip=["wait_for_drop", "plan_batch"])

    wait_for_drop = WaitForDropSensor(task_id="wait_for_drop", drop=DROP, on_skipped_callback=record_skip)
    plan = plan_batch(DROP)
    create_cluster = CreateClusterOperator(task_id="create_cluster", plan=plan).as_setup()
    featurize = StageOperator(stage=FEATURIZE, plan=plan, job_flow_id=CLUSTER)
    fit_pca = StageOperator(stage=FIT_PCA, plan=plan, job_flow_id=CLUSTER)
    transform_pca = StageOperator(
        stage=TRANSFORM_PCA,
        plan=plan,
        job_flow_id=CLUSTER,
        # fit_pca is skipped when the current PCA is used.
        trigger_rule="none_failed_min_one_success",
    )
    validate = StageOperator(stage=VALIDATE, plan=plan, job_flow_id=CLUSTER)
    report = StageOperator(stage=REPORT, plan=plan, job_flow_id=CLUSTER)
    terminate_cluster = TerminateClusterOperator(task_id="terminate_cluster", job_flow_id=CLUSTER).as_teardown(
        setups=create_cluster
    )
    published = publish(plan)  # type: ignore[arg-type]  # an XComArg while the DAG is parsed, a dict when it runs

    chain(wait_for_drop, plan, create_cluster, featurize, fit_pca, transform_pca, validate, report)
    chain(featurize, transform_pca)
    chain(report, [terminate_cluster, published])
    chain(terminate_cluster, fail_if_aborted())


fruits_features()
