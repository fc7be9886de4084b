"""The classifier's DAG is wired as the features' one: a cluster never outlives its run, and a failure is never green."""

from datetime import timedelta
from typing import Any

import pytest

from fruits_airflow.assets import FEATURES_PUBLISHED
from fruits_airflow.emr.operators import StageOperator
from fruits_airflow.settings import TASKS_LIMIT_S
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE
from fruits_contract.pipeline import ParamSpec
from release import contents
from tests.fixtures.dag_bag import DagBag


@pytest.fixture(scope="module")
def dag() -> Any:
    bag = DagBag(contents.ROOT / "dags")
    assert bag.import_errors == {}
    return bag.dags["fruits_classifier"]


def test_the_graph_shows_the_order_of_the_work_and_no_other_edges(dag: Any) -> None:
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "plan_training": {"create_cluster"},
        "create_cluster": {"train_classifier", "terminate_cluster"},
        "train_classifier": {"evaluate_classifier"},
        "evaluate_classifier": {"promote", "terminate_cluster"},
        "promote": set(),
        "terminate_cluster": {"record_cost"},
        "record_cost": {"fail_if_aborted"},
        "fail_if_aborted": set(),
    }


def test_a_publication_of_features_starts_it(dag: Any) -> None:
    assert dag.schedule == [FEATURES_PUBLISHED]
    assert dag.max_active_runs == 1


def test_every_stage_is_a_task_of_its_name(dag: Any) -> None:
    stages = {task.task_id: task for task in dag.tasks if isinstance(task, StageOperator)}
    assert {name: task.stage for name, task in stages.items()} == {stage.name: stage for stage in CLASSIFIER_PIPELINE.stages}
    assert {task.job_flow_id for task in stages.values()} == {"{{ ti.xcom_pull(task_ids='create_cluster') or '' }}"}


def test_the_cluster_is_torn_down_and_an_aborted_run_fails(dag: Any) -> None:
    assert dag.get_task("create_cluster").is_setup
    assert dag.get_task("terminate_cluster").is_teardown
    assert dag.get_task("terminate_cluster").on_failure_fail_dagrun is False
    assert dag.get_task("fail_if_aborted").on_failure_fail_dagrun is True
    assert {task.task_id for task in dag.leaves} == {"promote", "fail_if_aborted"}
    assert dag.dagrun_timeout > timedelta(seconds=TASKS_LIMIT_S)


def test_its_templates_read_the_plan_of_its_own_planning_task(dag: Any) -> None:
    assert f"task_ids='{CLASSIFIER_PIPELINE.plan_task}'" in dag.get_task("create_cluster").region_name
    assert CLASSIFIER_PIPELINE.plan_task in dag.task_ids


@pytest.mark.parametrize("spec", CLASSIFIER_PIPELINE.trigger, ids=lambda spec: spec.name)
def test_the_trigger_form_is_the_contracts(dag: Any, spec: ParamSpec) -> None:
    param = dag.params.get_param(spec.name)
    assert (param.value, param.description) == (spec.default, spec.description)
    assert f"`{spec.name}`" in dag.doc_md


@pytest.mark.parametrize("heading", ["What", "When", "Params", "Reads", "Writes", "If it fails"])
def test_the_doc_has_the_heading(dag: Any, heading: str) -> None:
    assert f"**{heading}**: " in dag.doc_md


def test_every_task_has_an_owner(dag: Any) -> None:
    assert {task.owner for task in dag.tasks} == {"fruits"}
    assert dag.tags == {"fruits", "classifier"}
