"""
### From published features to the current classifier.

**What**: starts an EMR cluster, runs `train_classifier` and `evaluate_classifier` on it, always terminates the cluster, and makes
the new classifier the current one, unless it is worse than the current one on the same held-out photos.

**When**: after every publication of `fruits_features` (asset `fruits_features`); or triggered by hand.

**Params**: `sure_above`, `promotion`, `release`, `budget_usd`; the trigger form explains each.

**Results**: "Fruit runs" in the navigation lists the classifiers; the task `evaluate_classifier` links to its model card.

**Reads**: `tables/features/`, `code/<release>/`, `models/`.

**Writes**: `runs/<run>/`, `models/classifier/`, `models/current.json`, `costs/<month>/`, `logs/`.

**If it fails**: the failed task's log ends with the last lines of the step's output. The current classifier stays current. A
classifier that is worse is not a failure: `promote` is skipped, and its log and the model card have the reason. Where no features
are published yet, the run ends as a success with its tasks skipped, without a cluster. A run that is marked as failed while it is
running terminates its cluster, promotes nothing, and ends as failed by `fail_if_aborted`.
To return to an earlier classifier: `make rollback BUCKET=name`.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Param, chain, dag, get_current_context, task, teardown

from fruits_airflow.aborts import check_not_aborted, record_skip
from fruits_airflow.assets import FEATURES_PUBLISHED
from fruits_airflow.emr.operators import CreateClusterOperator, StageOperator, TerminateClusterOperator
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE, EVALUATE_CLASSIFIER, TRAIN_CLASSIFIER

# Templates rather than the output of a task, which would add an edge from that task to every other one.
REGION = "{{ ti.xcom_pull(task_ids='plan_training')['region'] }}"
CLUSTER = "{{ ti.xcom_pull(task_ids='create_cluster') or '' }}"


@dag(
    doc_md=__doc__,
    schedule=[FEATURES_PUBLISHED],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # One at a time: a classifier is compared with the one that is current when its run is planned.
    max_active_runs=1,
    # A last resort, longer than all limits of the tasks together, as in fruits_features.
    dagrun_timeout=timedelta(days=3),
    params={spec.name: Param(spec.default, **spec.form_field()) for spec in CLASSIFIER_PIPELINE.trigger},
    default_args={"owner": "fruits"},
    tags=["fruits", "classifier"],
)
def fruits_classifier() -> None:
    """Wire the tasks."""

    @task(task_display_name="Plan training", retries=2, retry_delay=timedelta(seconds=30), on_skipped_callback=record_skip)
    def plan_training() -> dict[str, Any]:
        """List the published features, and decide on the cluster."""
        from fruits_airflow import training
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.settings import Settings

        context = get_current_context()
        settings = Settings.load()
        bucket = Bucket.of(settings.bucket, region=settings.region)
        run_id = context["dag_run"].run_id
        return training.plan_training(bucket, settings, dag_run_id=run_id, requested=dict(context["params"])).to_xcom()

    @task(task_display_name="Promote", retries=2, retry_delay=timedelta(seconds=30), on_skipped_callback=record_skip)
    def promote() -> dict[str, Any]:
        """Make the new classifier the current one, unless it is worse."""
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.plan import Plan
        from fruits_airflow.promotion import promote_run

        context = get_current_context()
        plan = Plan.of_run(context)
        bucket = Bucket.of(plan.params.bucket, region=plan.region)
        return promote_run(bucket, plan.params, promotion=context["params"]["promotion"])

    # A teardown, because a run that failed has cost something as well; its own failure fails no run.
    @teardown
    @task(task_display_name="Record cost", retries=2, retry_delay=timedelta(seconds=30))
    def record_cost(cluster: str) -> float:
        """Record what the cluster has cost, by EMR's timeline of its instances; return what the run has cost, in US dollars."""
        from fruits_airflow.run_cost import record_cost_of_run

        return record_cost_of_run(get_current_context(), cluster=cluster)

    # As in fruits_features: marking a run as failed skips every task but a teardown.
    @teardown(on_failure_fail_dagrun=True)
    @task(task_display_name="Fail if aborted", retries=2, retry_delay=timedelta(seconds=30))
    def fail_if_aborted() -> None:
        """Fail a run that was marked as failed; Airflow would call it a success once the cluster is terminated."""
        check_not_aborted(get_current_context(), result="promote", may_skip=["plan_training", "promote"])

    planned = plan_training()
    create_cluster = CreateClusterOperator(
        task_id="create_cluster", task_display_name="Create cluster", region_name=REGION
    ).as_setup()
    train_classifier = StageOperator(stage=TRAIN_CLASSIFIER, job_flow_id=CLUSTER, region_name=REGION)
    evaluate_classifier = StageOperator(stage=EVALUATE_CLASSIFIER, job_flow_id=CLUSTER, region_name=REGION)
    terminate_cluster = TerminateClusterOperator(
        task_id="terminate_cluster", task_display_name="Terminate cluster", job_flow_id=CLUSTER, region_name=REGION
    ).as_teardown(setups=create_cluster)

    chain(planned, create_cluster, train_classifier, evaluate_classifier)
    chain(evaluate_classifier, [terminate_cluster, promote()])
    chain(terminate_cluster, record_cost(CLUSTER), fail_if_aborted())


fruits_classifier()
