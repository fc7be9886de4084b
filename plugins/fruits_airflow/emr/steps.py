"""A stage as an EMR step: a pure function of the stage and the run's parameters."""

from typing import Any

from fruits_airflow.emr import spark_conf
from fruits_contract import layout
from fruits_contract.pipeline import RunParams, Stage


def step(stage: Stage, params: RunParams) -> dict[str, Any]:
    """Return the step that runs `stage`, in the form of AddJobFlowSteps.

    The driver runs on the primary node (client mode), so that a traceback ends up in the step's own stdout, where the DAG
    reads it; in cluster mode it would be in a YARN container's log.
    """
    package = layout.uri(params.bucket, layout.package_zip(params.release))
    script = layout.uri(params.bucket, layout.stage_script(params.release, stage.name))
    submit = ["spark-submit", "--deploy-mode", "client", *spark_conf.step_arguments(), "--py-files", package]
    return {
        "Name": stage.name,
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": [*submit, script, *params.to_argv()]},
    }
