"""A DAG run's id survives the characters that EMR's tags accept."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_airflow.emr import tags
from fruits_airflow.settings import Settings

EMR_ACCEPTS = re.compile(r"[\w\s.:/=+@-]*")


@given(st.text(max_size=60))
def test_the_id_comes_back(dag_run_id: str) -> None:
    made = tags.of_dag_run("fruits_features", dag_run_id)
    assert tags.dag_run_id(made) == dag_run_id
    assert all(EMR_ACCEPTS.fullmatch(value) for value in made.values())


@pytest.mark.parametrize("dag_run_id", ["scheduled__2026-11-22T03:00:00+00:00", "manual__2026-11-22T03:00:00.1+00:00_Ab3"])
def test_airflows_own_ids_stay_readable(dag_run_id: str) -> None:
    assert tags.of_dag_run("fruits_features", dag_run_id)[tags.DAG_RUN_ID] == dag_run_id


def test_a_deployment_is_named_after_its_bucket_unless_it_has_a_name(settings: Settings) -> None:
    assert tags.of_deployment(settings) == {"project": "fruits", "deployment": "photos"}
    assert tags.of_deployment(replace(settings, deployment="test"))["deployment"] == "test"
