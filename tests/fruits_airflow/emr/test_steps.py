"""A stage becomes a step that EMR accepts and that passes the run's parameters to the stage."""

import pytest

from fruits_airflow.emr import spark_conf
from fruits_airflow.emr.steps import step
from fruits_contract.features_pipeline import FeaturesRunParams
from fruits_contract.pipeline import Stage
from fruits_contract.pipelines import STAGES
from tests.fruits_airflow.emr.emr_request import problems

stages = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)


@stages
def test_emr_accepts_the_step(stage: Stage, params: FeaturesRunParams) -> None:
    assert problems("AddJobFlowSteps", {"JobFlowId": "j-1", "Steps": [step(stage, params)]}) == []


@stages
def test_the_step_submits_the_stages_script_with_the_package_of_the_release(stage: Stage, params: FeaturesRunParams) -> None:
    made = step(stage, params)
    assert made["Name"] == stage.name
    assert made["HadoopJarStep"]["Jar"] == "command-runner.jar"
    args = made["HadoopJarStep"]["Args"]
    assert args[:3] == ["spark-submit", "--deploy-mode", "client"]
    package = args.index("--py-files")
    assert args[3:package] == spark_conf.step_arguments()
    assert args[package : package + 3] == ["--py-files", "s3://photos/code/v2/fruits.zip", f"s3://photos/code/v2/{stage.name}.py"]


@stages
def test_what_follows_the_script_are_the_runs_parameters(stage: Stage, params: FeaturesRunParams) -> None:
    args = step(stage, params)["HadoopJarStep"]["Args"]
    script = args.index(f"s3://photos/code/v2/{stage.name}.py")
    assert FeaturesRunParams.from_argv(args[script + 1 :]) == params


def test_a_failed_step_leaves_the_cluster_to_the_teardown(params: FeaturesRunParams) -> None:
    assert step(STAGES[0], params)["ActionOnFailure"] == "CONTINUE"
