"""The pages in Airflow's own API server: its login and permissions, Variable, connection and database."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from airflow import settings
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.models import DagRun, Variable
from airflow.utils.types import DagRunType
from fastapi.testclient import TestClient

from tests.fruits_airflow.ui.conftest import token

pytestmark = pytest.mark.slow

PAGES = ["", "runs/x", "runs/x/report.html", "trainings/x", "classifiers/x/card.html", "logs/j/s", "spark/j", "static/pages.css"]


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


def test_who_may_not_trigger_the_dag_does_not_review(server: TestClient) -> None:
    server.cookies.set("_token", token(server))  # of a viewer
    for page in ("review", "review/known/first/Apple/0.jpg"):
        assert server.get(f"/fruits/{page}").status_code == 403, page
    for action in ("next", "photo", "accept", "reject", "skip"):
        response = server.post(f"/fruits/review/{action}", json={}, headers={"Sec-Fetch-Site": "same-origin"})
        assert response.status_code == 403, action


def test_who_may_trigger_the_dag_reviews(deployed_server: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def may_trigger(_: object, *, method: str, access_entity: DagAccessEntity, details: DagDetails, **__: object) -> bool:
        return (method, access_entity, details.id) == ("POST", DagAccessEntity.RUN, "fruits_features")

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", may_trigger)
    deployed_server.cookies.set("_token", token(deployed_server))
    assert deployed_server.get("/fruits/review").status_code == 200
    response = deployed_server.post("/fruits/review/next", json={}, headers={"Sec-Fetch-Site": "same-origin"})
    assert response.json() == {"contribution": None, "waiting": 0}
    assert deployed_server.post("/fruits/review/next", json={}).status_code == 403, "it could be another site's request"


def test_the_cookie_of_the_login_opens_the_page_of_runs_that_airflow_and_the_bucket_know(
    deployed_server: TestClient,
) -> None:
    with settings.Session() as session:
        due = datetime(2026, 11, 22, 3, tzinfo=UTC)
        run_id = f"scheduled__{uuid4()}"
        run = DagRun(dag_id="fruits_features", run_id=run_id, run_type=DagRunType.SCHEDULED, run_after=due, state="failed")
        session.add(run)
        session.commit()
    deployed_server.cookies.set("_token", token(deployed_server))
    response = deployed_server.get("/fruits/")
    assert response.status_code == 200, response.text
    assert run_id in response.text
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
