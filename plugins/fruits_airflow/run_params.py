"""`runs/<run>/params.json`: what a run was planned with, and which DAG run it is; its stages receive theirs as arguments."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fruits_airflow.bucket import Bucket
from fruits_contract import layout
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from fruits_contract.pipeline import RunParams


def write_run_params(bucket: Bucket, params: RunParams, *, dag_id: str, dag_run_id: str) -> None:
    """Write the parameters of a run, with the ids of its DAG and its DAG run."""
    described = {"dag_id": dag_id, "dag_run_id": dag_run_id, **asdict(params)}
    bucket.write(layout.run_params(params.run), (json.dumps(described, indent=1) + "\n").encode())


def read_run_params(bucket: Bucket, run: str) -> dict[str, Any]:
    """Return the parameters of a run; {} for a run that has none."""
    params: dict[str, Any] = bucket.read_json(layout.run_params(run)) or {}
    return params


def dag_id_of(params: Mapping[str, Any]) -> str:
    """Return the id of the DAG whose run has these parameters; '' without any."""
    if not params:
        return ""
    if "dag_id" in params:
        return str(params["dag_id"])
    # Earlier releases did not write it; only runs of fruits_features have a drop.
    return FEATURES_PIPELINE.dag_id if "drop" in params else CLASSIFIER_PIPELINE.dag_id
