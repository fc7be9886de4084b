"""The DAG is parsed by Airflow itself and wired so that a cluster never outlives its run and a failure is never green."""

from datetime import timedelta
from typing import Any

import pytest

from fruits_airflow.emr.operators import StageOperator, TerminateClusterOperator
from fruits_airflow.maintenance import KEPT_HOURS
from fruits_airflow.sensors import WaitForDropSensor
from fruits_airflow.settings import TASKS_LIMIT_S
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from fruits_contract.pipeline import ParamSpec
from release import contents
from tests.fixtures.dag_bag import DagBag


@pytest.fixture(scope="module")
def dagbag() -> DagBag:
    return DagBag(contents.ROOT / "dags")


@pytest.fixture(scope="module")
def dag(dagbag: DagBag) -> Any:
    return dagbag.dags["fruits_features"]


def names(tasks: Any) -> set[str]:
    return {task.task_id for task in tasks}


def test_airflow_finds_the_dag_and_no_error(dagbag: DagBag) -> None:
    assert dagbag.import_errors == {}
    assert "fruits_features" in dagbag.dags


def test_every_stage_is_a_task_of_its_name(dag: Any) -> None:
    stages = {task.task_id: task.stage for task in dag.tasks if isinstance(task, StageOperator)}
    assert stages == {stage.name: stage for stage in FEATURES_PIPELINE.stages}
    others = {"wait_for_drop", "plan_batch", "create_cluster", "terminate_cluster", "record_cost", "fail_if_aborted", "publish"}
    assert names(dag.tasks) - set(stages) == others


def test_stages_follow_one_another_as_in_the_stage_table(dag: Any) -> None:
    order = [task.task_id for task in dag.topological_sort() if isinstance(task, StageOperator)]
    assert order == [stage.name for stage in FEATURES_PIPELINE.stages]


def test_the_graph_shows_the_order_of_the_work_and_no_other_edges(dag: Any) -> None:
    edges = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert edges == {
        "wait_for_drop": {"plan_batch"},
        "plan_batch": {"create_cluster"},
        "create_cluster": {"featurize", "terminate_cluster"},
        "featurize": {"fit_pca", "transform_pca"},
        "fit_pca": {"transform_pca"},
        "transform_pca": {"validate"},
        "validate": {"report"},
        "report": {"publish", "terminate_cluster"},
        "publish": set(),
        "terminate_cluster": {"record_cost"},
        "record_cost": {"fail_if_aborted"},
        "fail_if_aborted": set(),
    }


def test_the_graph_names_the_providers_operators(dag: Any) -> None:
    names = {task.task_id: task.operator_name for task in dag.tasks}
    assert names["wait_for_drop"] == "S3KeySensor"
    assert names["create_cluster"] == "EmrCreateJobFlow"
    assert {names[stage.name] for stage in FEATURES_PIPELINE.stages} == {"EmrAddSteps"}
    assert names["terminate_cluster"] == "EmrTerminateJobFlow"


def test_the_ui_shows_the_name_of_every_task_in_plain_typography(dagbag: DagBag) -> None:
    tasks = [task for dag in dagbag.dags.values() for task in dag.tasks]
    for task in tasks:
        assert task.task_display_name[0].isupper(), task.task_id
        assert task.task_display_name.lower().replace(" ", "_") == task.task_id, "a task has one name"
    assert {task.task_display_name for task in tasks} >= {"Fit PCA", "Transform PCA", "Plan batch"}


def test_the_cluster_is_set_up_and_torn_down(dag: Any) -> None:
    create, terminate = dag.get_task("create_cluster"), dag.get_task("terminate_cluster")
    assert create.is_setup
    assert terminate.is_teardown
    assert isinstance(terminate, TerminateClusterOperator)
    assert "terminate_cluster" in create.downstream_task_ids
    assert [task.task_id for task in dag.tasks if task.is_setup] == ["create_cluster"]


@pytest.mark.parametrize("stage", FEATURES_PIPELINE.stages, ids=lambda stage: stage.name)
def test_every_stage_runs_between_setup_and_teardown(dag: Any, stage: Any) -> None:
    task = dag.get_task(stage.name)
    assert "create_cluster" in task.get_flat_relative_ids(upstream=True)
    assert "terminate_cluster" in task.get_flat_relative_ids(upstream=False)
    assert "create_cluster" in task.job_flow_id


def test_a_failed_teardown_does_not_turn_the_run_red_and_a_failed_publish_does(dag: Any) -> None:
    terminate, publish = dag.get_task("terminate_cluster"), dag.get_task("publish")
    assert terminate.on_failure_fail_dagrun is False
    assert dag.get_task("record_cost").is_teardown and dag.get_task("record_cost").on_failure_fail_dagrun is False
    assert names(dag.leaves) == {"publish", "fail_if_aborted"}, "the leaves decide whether a run failed"
    assert publish.trigger_rule == "all_success"
    assert not publish.is_teardown


def test_the_teardown_that_fails_an_aborted_run_is_the_last_one(dag: Any) -> None:
    watcher = dag.get_task("fail_if_aborted")
    assert watcher.is_teardown
    assert watcher.on_failure_fail_dagrun is True
    assert watcher.upstream_task_ids == {"record_cost"}
    others = {task.task_id for task in dag.tasks if task.is_teardown and task is not watcher}
    assert others <= watcher.get_flat_relative_ids(upstream=True)


def test_runs_publish_one_at_a_time(dag: Any) -> None:
    assert dag.get_task("publish").max_active_tis_per_dag == 1


def test_only_the_task_after_the_optional_fit_has_another_trigger_rule(dag: Any) -> None:
    others = {task.task_id: str(task.trigger_rule.value) for task in dag.tasks if task.trigger_rule != "all_success"}
    teardowns = dict.fromkeys(["terminate_cluster", "record_cost", "fail_if_aborted"], "all_done_setup_success")
    assert others == {"transform_pca": "none_failed_min_one_success"} | teardowns
    # With a skipped fit_pca alone upstream there would be no success; featurize is the one.
    assert dag.get_task("transform_pca").upstream_task_ids >= {"featurize", "fit_pca"}


def test_an_error_of_the_sensor_is_not_skipped(dag: Any) -> None:
    sensor = dag.get_task("wait_for_drop")
    assert isinstance(sensor, WaitForDropSensor)
    assert not sensor.soft_fail, "it would skip the run on missing rights, too"


def test_it_runs_every_night_and_catches_nothing_up(dag: Any) -> None:
    assert dag.schedule == "0 3 * * *"
    assert dag.catchup is False
    assert dag.max_active_runs == 4, "a run waiting for its drop must not block other runs"
    assert dag.is_paused_upon_creation in (None, True)


def test_the_runs_limit_is_longer_than_those_of_its_tasks(dag: Any) -> None:
    # At this limit Airflow skips even the teardown.
    assert dag.dagrun_timeout > timedelta(seconds=TASKS_LIMIT_S)


@pytest.mark.parametrize("spec", FEATURES_PIPELINE.trigger, ids=lambda spec: spec.name)
def test_the_trigger_form_is_the_contracts(dag: Any, spec: ParamSpec) -> None:
    param = dag.params.get_param(spec.name)
    assert param.value == spec.default
    assert param.description == spec.description
    assert {name: param.schema[name] for name in spec.schema} == spec.schema


def test_the_trigger_form_has_nothing_else(dag: Any) -> None:
    assert list(dag.params) == [spec.name for spec in FEATURES_PIPELINE.trigger]


@pytest.mark.parametrize("heading", ["What", "When", "Params", "Reads", "Writes", "If it fails"])
def test_the_doc_has_the_heading(dag: Any, heading: str) -> None:
    assert f"**{heading}**: " in dag.doc_md


def test_the_doc_names_every_parameter_and_stage(dag: Any) -> None:
    for name in [spec.name for spec in FEATURES_PIPELINE.trigger] + [stage.name for stage in FEATURES_PIPELINE.stages]:
        assert f"`{name}`" in dag.doc_md


def test_every_task_has_an_owner(dag: Any) -> None:
    assert {task.owner for task in dag.tasks} == {"fruits"}
    assert dag.tags == {"fruits", "features"}


def test_files_stay_for_longer_than_a_run_may_take(dag: Any) -> None:
    # and together with the seven days of a deleted object's version (infra/storage.yaml) for less than 15 days
    assert dag.dagrun_timeout < timedelta(hours=KEPT_HOURS) < timedelta(days=15 - 7)
