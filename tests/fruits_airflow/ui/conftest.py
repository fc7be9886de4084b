"""The pages as a logged-in reader gets them: alone, and in Airflow's own API server."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import botocore.session
import pytest
from airflow import plugins_manager
from airflow import settings as airflow_settings
from airflow.api_fastapi.app import create_app, purge_cached_app
from airflow.api_fastapi.core_api.security import get_user
from airflow.models import Variable
from airflow.utils.db import initdb
from botocore.stub import Stubber
from fastapi.testclient import TestClient

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_airflow.ui import access
from fruits_airflow.ui.airflow_runs import AirflowRun
from fruits_airflow.ui.app import airflow_runs, app, emr_client
from fruits_airflow.ui.project import project_bucket

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
LOGIN = {"username": "reader", "password": "secret"}
Known = dict[str, dict[str, AirflowRun]]


@pytest.fixture
def known() -> Known:
    """What Airflow knows of the DAG runs; a test adds to it."""
    return {"fruits_features": {}, "fruits_classifier": {}}


@pytest.fixture
def emr() -> Iterator[Stubber]:
    """A client of EMR that accepts exactly the expected requests, and refuses what AWS's model does not know."""
    session = botocore.session.get_session()
    with Stubber(session.create_client("emr", "eu-north-1", aws_access_key_id="x", aws_secret_access_key="x")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def reader(bucket: Bucket, known: Known, emr: Stubber) -> Iterator[TestClient]:
    """A client of the application alone, without login and permissions."""
    checks = [get_user, *(depends.dependency for depends in (*access.READS_RUNS, *access.READS_LOGS, *access.REVIEWS))]
    app.dependency_overrides = {check: lambda: None for check in checks if check}
    app.dependency_overrides |= {project_bucket: lambda: bucket, airflow_runs: lambda: known, emr_client: lambda: emr.client}
    yield TestClient(app)
    app.dependency_overrides = {}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Airflow's API server with the plugin, one user, and a database."""
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({LOGIN["username"]: LOGIN["password"]}))
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", f"{LOGIN['username']}:viewer")
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "s" * 64)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setattr(airflow_settings, "PLUGINS_FOLDER", str(PLUGINS))
    _forget_plugins()
    purge_cached_app()
    initdb()
    yield TestClient(create_app(apps="core"))
    _forget_plugins()
    purge_cached_app()


@pytest.fixture
def deployed_server(
    server: TestClient, deployment: Settings, s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """The API server of a deployment: with the Variable, and a connection to the S3 server."""
    endpoint = quote(s3_environment["AWS_ENDPOINT_URL_S3"], safe="")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", f"aws://test-key:test-secret@/?endpoint_url={endpoint}")
    values = {"bucket": deployment.bucket, "region": deployment.region, "release": deployment.release}
    Variable.set("fruits", json.dumps(values))
    yield server
    Variable.delete("fruits")


def token(server: TestClient) -> str:
    """Log in."""
    return str(server.post("/auth/token", json=LOGIN).json()["access_token"])


def _forget_plugins() -> None:
    plugins_manager._get_plugins.cache_clear()
    plugins_manager.get_fastapi_plugins.cache_clear()
    plugins_manager._get_ui_plugins.cache_clear()
