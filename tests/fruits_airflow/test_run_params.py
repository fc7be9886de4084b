"""The parameters of a run say which DAG it is of, those of earlier releases by what they have."""

from typing import Any

import pytest

from fruits_airflow.bucket import Bucket
from fruits_airflow.run_params import dag_id_of, read_run_params, write_run_params
from fruits_contract.classifier_pipeline import ClassifierRunParams


@pytest.mark.slow
def test_what_is_written_is_read(bucket: Bucket) -> None:
    params = ClassifierRunParams(bucket=bucket.name, run="t1", release="v1", extractor="e" * 64, current="")
    assert read_run_params(bucket, "t1") == {}
    write_run_params(bucket, params, dag_id="fruits_classifier", dag_run_id="manual__1")
    written = read_run_params(bucket, "t1")
    assert (written["dag_id"], written["dag_run_id"], written["release"]) == ("fruits_classifier", "manual__1", "v1")


@pytest.mark.parametrize(
    ("params", "dag_id"),
    [
        ({"dag_id": "fruits_classifier", "drop": "first"}, "fruits_classifier"),
        ({"dag_run_id": "r1", "drop": "first"}, "fruits_features"),
        ({"dag_run_id": "t1"}, "fruits_classifier"),
        ({}, ""),
    ],
)
def test_the_dag_is_named_or_known_by_the_drop(params: dict[str, Any], dag_id: str) -> None:
    assert dag_id_of(params) == dag_id
