"""
### From a drop of fruit photos to published features.

**What**: waits for a complete drop in `raw/<drop>/`, works out which photos are new, starts an EMR cluster, runs the stages
`featurize`, `fit_pca`, `transform_pca`, `validate`, `report` on it, always terminates the cluster, and publishes the results to
three Delta tables.

**When**: every day at 03:00 UTC, for the drop named after the day (`raw/2026-11-22/`); or triggered by hand, for any drop.

**Params**: `drop`, `mode`, `variance`, `components`, `max_reject_ratio`, `engine`, `release`,
`budget_usd`; the trigger form explains each.

| to do this | set |
| --- | --- |
| run a drop, also one that was run before | `drop` |
| fit a new PCA on all photos and project them again | `mode=fit` |
| a fixed number of components, e.g. 41 | `mode=fit`, `components=41` |
| publish a drop with many unreadable photos | `drop`, `max_reject_ratio=0.5` |
| try a new release on one drop | `drop`, `release` |

**Results**: "Fruit runs" in the navigation has the verdict, the figures and the report of every run; the task `report` links to
its report, and each stage to the output of its step and to its Spark history.

**Reads**: `raw/<drop>/`, `code/<release>/`, `models/`, `tables/`.

**Writes**: `runs/<run>/`, `tables/`, `models/pca/`, `models/current.json`, `costs/<month>/`, `logs/`.

**If it fails**: the failed task's log ends with the last lines of the step's output, or with the findings of `validate`. A run
with a failed stage or a red finding publishes nothing: fix the cause and trigger the same drop again. If `publish` failed
halfway, clear it: it completes what is missing. A drop that does not arrive in the waiting time, or that holds nothing new,
ends as a success with its tasks skipped, without a cluster. A run that is marked as failed while it is running terminates its
cluster, publishes nothing, and ends as failed by `fail_if_aborted`.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Param, chain, dag, get_current_context, task, teardown

from fruits_airflow.aborts import check_not_aborted, record_skip
from fruits_airflow.assets import FEATURES_PUBLISHED
from fruits_airflow.emr.operators import CreateClusterOperator, StageOperator, TerminateClusterOperator
from fruits_airflow.sensors import WaitForDropSensor
from fruits_contract import layout
from fruits_contract.features_pipeline import (
    DAILY_HOUR_UTC,
    FEATURES_PIPELINE,
    FEATURIZE,
    FIT_PCA,
    REPORT,
    TRANSFORM_PCA,
    VALIDATE,
)

DROP = "{{ params.drop or dag_run.run_after.strftime('%Y-%m-%d') }}"
# Templates rather than the output of a task, which would add an edge from that task to every other one.
REGION = "{{ ti.xcom_pull(task_ids='plan_batch')['region'] }}"
CLUSTER = "{{ ti.xcom_pull(task_ids='create_cluster') or '' }}"


@dag(
    doc_md=__doc__,
    schedule=f"0 {DAILY_HOUR_UTC} * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # More than one, because a run that waits for its drop, deferred, must not block runs of other drops.
    max_active_runs=4,
    # A last resort, longer than all limits of the tasks together: at this one Airflow skips even the teardown, and the
    # cluster is terminated by its own idle limit only. A stage that hangs is ended by `stage_limit_s` (settings).
    dagrun_timeout=timedelta(days=3),
    params={spec.name: Param(spec.default, **spec.form_field()) for spec in FEATURES_PIPELINE.trigger},
    default_args={"owner": "fruits"},
    tags=["fruits", "features"],
)
def fruits_features() -> None:
    """Wire the tasks."""

    @task(task_display_name="Plan batch", retries=2, retry_delay=timedelta(seconds=30), on_skipped_callback=record_skip)
    def plan_batch(drop: str) -> dict[str, Any]:
        """List the drop, subtract what is known, decide on fit or transform and on the cluster."""
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.planning import plan_run
        from fruits_airflow.settings import Settings

        context = get_current_context()
        settings = Settings.load()
        run_id = context["dag_run"].run_id
        bucket = Bucket.of(settings.bucket, region=settings.region)
        return plan_run(bucket, settings, dag_run_id=run_id, drop=drop, requested=dict(context["params"])).to_xcom()

    # One at a time across all runs: publish reads the tables to decide which rows are new.
    @task(
        task_display_name="Publish",
        outlets=[FEATURES_PUBLISHED],
        retries=2,
        retry_delay=timedelta(seconds=30),
        max_active_tis_per_dag=1,
    )
    def publish() -> dict[str, str]:
        """Commit the run's files to the tables, unless a finding is red."""
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.plan import Plan
        from fruits_airflow.publishing import publish_run

        plan = Plan.of_run(get_current_context())
        return publish_run(Bucket.of(plan.params.bucket, region=plan.region), plan.params)

    # A teardown, because a run that failed has cost something as well; its own failure fails no run.
    @teardown
    @task(task_display_name="Record cost", retries=2, retry_delay=timedelta(seconds=30))
    def record_cost(cluster: str) -> float:
        """Record what the cluster has cost, by EMR's timeline of its instances; return what the run has cost, in US dollars."""
        from fruits_airflow.run_cost import record_cost_of_run

        return record_cost_of_run(get_current_context(), cluster=cluster)

    # A teardown, because marking a run as failed skips every other task. It is not downstream of publish, so publish stays a
    # leaf and its failure fails the run. It is the last teardown: while one is unfinished, a run that is marked as failed goes
    # on, and could end as a success.
    @teardown(on_failure_fail_dagrun=True)
    @task(task_display_name="Fail if aborted", retries=2, retry_delay=timedelta(seconds=30))
    def fail_if_aborted() -> None:
        """Fail a run that was marked as failed; Airflow would call it a success once the cluster is terminated."""
        check_not_aborted(get_current_context(), result="publish", may_skip=["wait_for_drop", "plan_batch"])

    wait_for_drop = WaitForDropSensor(
        task_id="wait_for_drop",
        task_display_name="Wait for drop",
        bucket_key=layout.ready(DROP),
        retries=2,
        retry_delay=timedelta(minutes=1),
        on_skipped_callback=record_skip,
    )
    planned = plan_batch(DROP)
    create_cluster = CreateClusterOperator(
        task_id="create_cluster", task_display_name="Create cluster", region_name=REGION
    ).as_setup()
    featurize = StageOperator(stage=FEATURIZE, job_flow_id=CLUSTER, region_name=REGION)
    fit_pca = StageOperator(stage=FIT_PCA, job_flow_id=CLUSTER, region_name=REGION)
    transform_pca = StageOperator(
        stage=TRANSFORM_PCA,
        job_flow_id=CLUSTER,
        region_name=REGION,
        # fit_pca is skipped when the current PCA is used.
        trigger_rule="none_failed_min_one_success",
    )
    validate = StageOperator(stage=VALIDATE, job_flow_id=CLUSTER, region_name=REGION)
    report = StageOperator(stage=REPORT, job_flow_id=CLUSTER, region_name=REGION)
    terminate_cluster = TerminateClusterOperator(
        task_id="terminate_cluster", task_display_name="Terminate cluster", job_flow_id=CLUSTER, region_name=REGION
    ).as_teardown(setups=create_cluster)
    published = publish()

    chain(wait_for_drop, planned, create_cluster, featurize, fit_pca, transform_pca, validate, report)
    chain(featurize, transform_pca)
    chain(report, [terminate_cluster, published])
    chain(terminate_cluster, record_cost(CLUSTER), fail_if_aborted())


fruits_features()
