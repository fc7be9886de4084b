"""The pages as a logged-in reader gets them: the real application and S3 server, without Airflow's database."""

from collections.abc import Iterator

import pytest
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient

from fruits_airflow.bucket import Bucket
from fruits_airflow.ui import access
from fruits_airflow.ui.airflow_runs import AirflowRun
from fruits_airflow.ui.app import airflow_runs, app, project_bucket

Known = dict[str, dict[str, AirflowRun]]


@pytest.fixture
def known() -> Known:
    """What Airflow knows of the DAG runs; a test adds to it."""
    return {"fruits_features": {}, "fruits_classifier": {}}


@pytest.fixture
def reader(bucket: Bucket, known: Known) -> Iterator[TestClient]:
    """A client that Airflow's login and permissions let through."""
    checks = [get_user, *(depends.dependency for depends in (*access.READS_RUNS, *access.READS_LOGS))]
    app.dependency_overrides = {check: lambda: None for check in checks if check}
    app.dependency_overrides |= {project_bucket: lambda: bucket, airflow_runs: lambda: known}
    yield TestClient(app)
    app.dependency_overrides = {}
