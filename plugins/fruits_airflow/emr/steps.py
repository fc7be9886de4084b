"""A stage as an EMR step: a pure function of the stage and the run's parameters."""

from typing import Any

from fruits_airflow.emr import spark_conf
from fruits_contract import layout
from fruits_contract.features_pipeline import FeaturesRunParams
from fruits_contract.pipeline import Stage


def step(stage: Stage, params: FeaturesRunParams) -> dict[str, Any]:
    """Return the step that runs `stage`, in the form of AddJobFlowSteps.

    The driver runs on the primary node (client mode), so that a traceback ends up in the step's own stdout, where the DAG
    reads it; in cluster mode it would lie in a YARN container's log.
    """
    code = [layout.package_zip(params.release), layout.stage_script(params.release, stage.name)]
    package, script = (layout.uri(params.bucket, key) for key in code)
    return {
        "Name": stage.name,
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": [
                *("spark-submit", "--deploy-mode", "client"),
                *spark_conf.words(),
                *("--py-files", package, script),
                *params.to_argv(),
            ],
        },
    }
