"""The pages behind Airflow's login: all runs, reports, model cards, logs, and what each may load."""

import gzip
import json
from typing import Any

import pytest
from botocore.stub import Stubber
from fastapi.testclient import TestClient
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import InvalidSettings, Settings
from fruits_airflow.ui.airflow_runs import AirflowRun
from fruits_airflow.ui.app import app
from fruits_airflow.ui.project import project_bucket
from fruits_contract import layout
from fruits_contract.features_pipeline import FeaturesRunParams
from fruits_contract.manifest import Finding, Manifest
from tests.fixtures import app_ui, published_run

PAGES = [
    "/",
    "/runs/r1",
    "/runs/r1/report.html",
    "/trainings/t1",
    "/classifiers/c1/card.html",
    "/logs/j-1/s-1",
    "/spark/j-1",
    "/static/pages.css",
    "/retention",
    "/review",
    "/review/known/first/Apple/0.jpg",
    "/erasures",
    "/erasures/e1/certificate.html",
]
ACTIONS = ["/review/next", "/review/photo", "/review/accept", "/review/reject", "/review/skip"]


def write_report(bucket: Bucket, params: FeaturesRunParams, *, findings: tuple[Finding, ...] = (), **figures: Any) -> None:
    """Write what the stage `report` writes."""
    headline = {
        "red": [found.message for found in findings],
        "started_at": "2026-11-22T03:00:00+00:00",
        "images": 4320,
        "rejects": 7,
        "k": 22,
        "seconds": 61.0,
        "usd": None,
    }
    manifest = Manifest("report", params.run, "2026-11-22T03:01:00+00:00", 5.0, figures={"headline": headline | figures})
    bucket.write(layout.manifest(params.run, "report"), manifest.to_json().encode())
    bucket.write(layout.report_page(params.run), b"<!doctype html><p id=report>The report</p>")


@pytest.fixture
def published(s3: S3Client, bucket: Bucket, deployment: Settings) -> FeaturesRunParams:
    published_run.add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg"])
    params = published_run.run_drop(bucket, deployment, "manual__1", "first")
    write_report(bucket, params)
    return params


def test_every_route_refuses_an_anonymous_request() -> None:
    client = TestClient(app)
    routes = {route.path for route in app.routes}
    assert len(routes) == len(PAGES) + len(ACTIONS), "a route is missing in PAGES or ACTIONS"
    for page in PAGES:
        assert client.get(page).status_code == 401, page
    for action in ACTIONS:
        assert client.post(action, json={}, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 401, action


def test_the_page_shows_a_published_run_with_its_figures(reader: TestClient, published: FeaturesRunParams) -> None:
    page = reader.get("/").text
    assert 'class="verdict published">published<' in page
    for figure in ("4,320", ">7<", ">22<", ">61<", "2026-11-22 03:00", ">first<", ">fit<"):
        assert figure in page
    assert f'href="runs/{published.run}"' in page
    assert 'href="../dags/fruits_features/runs/manual__1"' in page


def test_a_red_run_is_not_published_and_says_why(s3: S3Client, bucket: Bucket, deployment: Settings, reader: TestClient) -> None:
    published_run.add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    params = published_run.plan(bucket, deployment, "manual__1", "first")
    write_report(bucket, params, findings=(Finding("rejects", "red", "<b>half of the photos</b> cannot be read"),))
    page = reader.get("/").text
    assert ">not published<" in page
    assert "&lt;b&gt;half of the photos&lt;/b&gt; cannot be read" in page, "what a run writes is escaped"


@pytest.mark.parametrize(
    ("state", "verdict"), [("running", "running"), ("queued", "running"), ("failed", "failed"), ("success", "incomplete")]
)
def test_a_run_without_a_report_has_the_state_that_airflow_knows(
    s3: S3Client, bucket: Bucket, deployment: Settings, reader: TestClient, known: dict, state: str, verdict: str
) -> None:
    published_run.add_photos(s3, bucket, "first", ["Apple/0.jpg"])
    params = published_run.plan(bucket, deployment, "manual__1", "first")
    known["fruits_features"][params.run] = AirflowRun(dag_run_id="manual__1", state=state, run_after="2026-11-22T03:00:00+00:00")
    assert f">{verdict}<" in reader.get("/").text


def test_a_run_that_ended_before_it_was_planned_is_shown_too(reader: TestClient, known: dict) -> None:
    known["fruits_features"]["r1"] = AirflowRun(dag_run_id="scheduled__1", state="success", run_after="2026-11-22T03:00:00+00:00")
    page = reader.get("/").text
    assert ">nothing to do<" in page
    assert "scheduled__1" in page


def test_the_newest_run_is_first_and_trends_follow_the_figures(
    s3: S3Client, bucket: Bucket, deployment: Settings, published: FeaturesRunParams, reader: TestClient, known: dict
) -> None:
    published_run.add_photos(s3, bucket, "second", ["Apple/0.jpg"])
    second = published_run.run_drop(bucket, deployment, "manual__2", "second")
    write_report(bucket, second, images=100)
    for day, run in enumerate((published.run, second.run), 1):
        known["fruits_features"][run] = AirflowRun(dag_run_id=run, state="success", run_after=f"2026-11-0{day}T03:00:00+00:00")
    page = reader.get("/").text
    assert page.index(f"runs/{second.run}") < page.index(f"runs/{published.run}")
    assert 'aria-label="photos of the last 2 runs"' in page


def test_the_price_is_the_one_that_the_report_expects(published: FeaturesRunParams, bucket: Bucket, reader: TestClient) -> None:
    assert ">0.73<" not in reader.get("/").text
    write_report(bucket, published, usd=0.73)
    assert ">0.73<" in reader.get("/").text


@pytest.mark.parametrize(("usd_of_instances", "shown"), [((0.3, 0.11), ">0.41<"), ((0.3, None), ">at least 0.30<")])
def test_the_actual_cost_says_when_an_instance_has_no_price(
    published: FeaturesRunParams,
    bucket: Bucket,
    reader: TestClient,
    usd_of_instances: tuple[float | None, ...],
    shown: str,
) -> None:
    figures = {"usd": sum(filter(None, usd_of_instances)), "instances": [{"usd": usd} for usd in usd_of_instances]}
    manifest = Manifest("record_cost", published.run, "2026-11-22T03:02:00+00:00", 0.0, figures=figures)
    bucket.write(layout.manifest(published.run, "record_cost"), manifest.to_json().encode())
    assert shown in reader.get("/").text


def test_an_empty_bucket_is_explained(reader: TestClient) -> None:
    assert "There is no run yet" in reader.get("/").text


def test_a_report_is_framed_and_cannot_use_the_login(reader: TestClient, published: FeaturesRunParams) -> None:
    frame = reader.get(f"/runs/{published.run}")
    assert f'src="{published.run}/report.html"' in frame.text
    assert 'sandbox="allow-scripts"' in frame.text
    report = reader.get(f"/runs/{published.run}/report.html")
    assert report.content == bucket_content(published, reader)
    policy = report.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none';")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy, "default-src 'none' also holds for requests of scripts"


def bucket_content(published: FeaturesRunParams, reader: TestClient) -> bytes:
    bucket = reader.app.dependency_overrides[project_bucket]()
    return bucket.read(layout.report_page(published.run))


def test_pages_run_no_inline_scripts(reader: TestClient) -> None:
    response = reader.get("/")
    assert "unsafe-inline" not in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "page", ["/runs/unknown", "/runs/unknown/report.html", "/trainings/unknown", "/classifiers/unknown/card.html"]
)
def test_what_is_not_there_is_not_found(reader: TestClient, page: str) -> None:
    response = reader.get(page)
    assert response.status_code == 404
    assert "There is nothing here yet" in response.text


@pytest.mark.parametrize(
    "page", ["/runs/..%2e", "/runs/-x/report.html", "/classifiers/a b/card.html", "/logs/j-1/.%2e", "/spark/.%2e"]
)
def test_a_name_that_is_no_part_of_a_key_is_refused(reader: TestClient, page: str) -> None:
    response = reader.get(page)
    assert response.status_code == 404
    assert "cannot be used" in response.text


def test_a_training_leads_to_its_model_card(reader: TestClient, bucket: Bucket) -> None:
    manifest = Manifest(
        "evaluate_classifier",
        "t1",
        "2026-11-22T04:00:00+00:00",
        1.0,
        figures={"metrics": {"variety_accuracy": 0.905, "fruit_accuracy": 1.0, "condition_accuracy": 0.908}},
        digests={"classifier": "c1"},
        findings=(Finding("promotion", "red", "worse than the current classifier"),),
    )
    bucket.write(layout.manifest("t1", "evaluate_classifier"), manifest.to_json().encode())
    bucket.write(layout.classifier_card_page("c1"), b"<p>The card</p>")
    page = reader.get("/").text
    assert "90.5%" in page
    assert "worse than the current classifier" in page
    assert ">current<" not in page
    assert 'href="trainings/t1"' in page
    assert 'src="../classifiers/c1/card.html"' in reader.get("/trainings/t1").text
    assert reader.get("/classifiers/c1/card.html").text == "<p>The card</p>"


def test_the_current_classifier_is_marked(reader: TestClient, bucket: Bucket) -> None:
    manifest = Manifest("evaluate_classifier", "t1", "", 1.0, figures={"metrics": {}}, digests={"classifier": "c1"})
    bucket.write(layout.manifest("t1", "evaluate_classifier"), manifest.to_json().encode())
    bucket.write(layout.CURRENT_MODELS, json.dumps({"classifier": {"model_id": "c1"}}).encode())
    assert ">current<" in reader.get("/").text


def test_the_log_of_a_step_shows_its_end(reader: TestClient, bucket: Bucket) -> None:
    lines = [f"<line {number}>" for number in range(2500)]
    bucket.write(layout.step_log("j-1", "s-1", "stdout"), gzip.compress("\n".join(lines).encode()))
    bucket.write(layout.step_log("j-1", "s-1", "stderr"), gzip.compress(b""))
    page = reader.get("/logs/j-1/s-1").text
    assert "&lt;line 2499&gt;" in page
    assert "&lt;line 499&gt;" not in page
    assert "500 lines before these are left out" in page
    assert "Empty." in page
    assert "There is no log yet" in page


def test_the_spark_history_is_one_redirect_away(reader: TestClient, bucket: Bucket, emr: Stubber) -> None:
    app_ui.expect(emr, bucket.name)
    response = reader.get("/spark/j-1", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, app_ui.ADDRESS)
    assert response.headers["cache-control"] == "private, no-store", "the address is the key to the history"


def test_a_history_that_emr_refuses_is_explained(reader: TestClient, emr: Stubber) -> None:
    emr.add_client_error("describe_cluster", "AccessDeniedException", "not authorized to perform: <DescribeCluster>")
    response = reader.get("/spark/j-1")
    assert response.status_code == 404
    assert "not authorized to perform: &lt;DescribeCluster&gt;" in response.text
    assert 'href="../"' in response.text


def test_a_deployment_without_settings_is_told_what_to_create(reader: TestClient) -> None:
    def missing() -> Bucket:
        raise InvalidSettings("there is no Airflow Variable 'fruits'")

    app.dependency_overrides[project_bucket] = missing
    response = reader.get("/")
    assert response.status_code == 503
    assert "there is no Airflow Variable" in response.text


@pytest.mark.parametrize("name", ["pages.css", "pages.js", "review.js"])
def test_style_and_script_are_served(reader: TestClient, name: str) -> None:
    assert reader.get(f"/static/{name}").status_code == 200
    assert reader.get("/static/app.py").status_code == 404
