"""The pages in Airflow's own API server: its login and permissions, Variable, connection and database."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow import plugins_manager, settings
from airflow.api_fastapi.app import create_app, purge_cached_app
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.models import DagRun, Variable
from airflow.utils.db import initdb
from airflow.utils.types import DagRunType
from fastapi.testclient import TestClient
from mypy_boto3_s3 import S3Client

from fruits_airflow.settings import Settings

pytestmark = pytest.mark.slow

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
LOGIN = {"username": "reader", "password": "secret"}
PAGES = ["", "runs/x", "runs/x/report.html", "trainings/x", "classifiers/x/card.html", "logs/j/s", "static/pages.css"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Airflow's API server with the plugin, one user, and a new database."""
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({LOGIN["username"]: LOGIN["password"]}))
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", f"{LOGIN['username']}:viewer")
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "s" * 64)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setattr(settings, "PLUGINS_FOLDER", str(PLUGINS))
    forget_plugins()
    purge_cached_app()
    initdb()
    yield TestClient(create_app(apps="core"))
    forget_plugins()
    purge_cached_app()


def forget_plugins() -> None:
    plugins_manager._get_plugins.cache_clear()
    plugins_manager.get_fastapi_plugins.cache_clear()
    plugins_manager._get_ui_plugins.cache_clear()


def token(server: TestClient) -> str:
    return str(server.post("/auth/token", json=LOGIN).json()["access_token"])


def test_an_anonymous_request_is_refused_and_so_is_a_forged_token(server: TestClient) -> None:
    for page in PAGES:
        assert server.get(f"/fruits/{page}").status_code == 401, page
        forged = {"Authorization": "Bearer e30.e30.e30"}
        assert server.get(f"/fruits/{page}", headers=forged).status_code in (401, 403), page


def test_a_user_who_may_not_read_the_dags_is_refused(server: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", lambda *_, **__: False)
    server.cookies.set("_token", token(server))
    # Style and script show nothing of the runs.
    for page in PAGES[:-1]:
        assert server.get(f"/fruits/{page}").status_code == 403, page


def test_the_cookie_of_the_login_opens_the_page_of_runs_that_airflow_and_the_bucket_know(
    server: TestClient, deployment: Settings, s3: S3Client, s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = quote(s3_environment["AWS_ENDPOINT_URL_S3"], safe="")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", f"aws://test-key:test-secret@/?endpoint_url={endpoint}")
    values = {"bucket": deployment.bucket, "region": deployment.region, "release": deployment.release}
    Variable.set("fruits", json.dumps(values))
    with settings.Session() as session:
        due = datetime(2026, 11, 22, 3, tzinfo=UTC)
        run = DagRun(
            dag_id="fruits_features", run_id="scheduled__1", run_type=DagRunType.SCHEDULED, run_after=due, state="failed"
        )
        session.merge(run)
        session.commit()
    server.cookies.set("_token", token(server))
    response = server.get("/fruits/")
    assert response.status_code == 200, response.text
    assert "scheduled__1" in response.text
    assert ">failed<" in response.text
    assert "2026-11-22 03:00" in response.text


def test_without_the_variable_the_page_says_what_to_create(server: TestClient) -> None:
    Variable.delete("fruits")
    server.cookies.set("_token", token(server))
    response = server.get("/fruits/runs/r1")
    assert response.status_code == 503
    assert "docs/parameters.md" in response.text


def test_the_navigation_has_an_entry(server: TestClient) -> None:
    found = server.get("/api/v2/plugins", headers={"Authorization": f"Bearer {token(server)}"})
    views = [view["name"] for plugin in found.json()["plugins"] for view in plugin["external_views"]]
    assert views == ["Fruit runs"]
