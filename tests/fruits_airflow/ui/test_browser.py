"""The pages in Airflow's UI, in a real browser: the entry, the frame, what a report may do, and the ways out."""

import re
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi.testclient import TestClient
from mypy_boto3_s3 import S3Client
from playwright.sync_api import Browser, FrameLocator, Page, expect

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.features_pipeline import FeaturesRunParams
from local.stack import ports
from local.waiting import wait_until
from tests.fixtures import published_run
from tests.fruits_airflow.ui.conftest import LOGIN
from tests.fruits_airflow.ui.test_app import write_report

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# A report that tries to use the reader's login, to reach the page around it and to send something.
REPORT = b"""<!doctype html><title>Report</title><ul id=results></ul><script>
const attempts = {
  cookie: () => document.cookie,
  parent: () => window.parent.document.title,
  request: () => fetch("/api/v2/dags"),
  compiled: () => new Function("return 1")(),
}
for (const [name, attempt] of Object.entries(attempts)) {
  Promise.resolve().then(attempt).then(() => "allowed", () => "refused").then((result) => {
    results.append(Object.assign(document.createElement("li"), {textContent: `${name} ${result}`}))
  })
}
</script>"""


@pytest.fixture
def published(s3: S3Client, bucket: Bucket, deployment: Settings) -> FeaturesRunParams:
    published_run.add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/1.jpg"])
    params = published_run.run_drop(bucket, deployment, "manual__1", "first")
    write_report(bucket, params)
    bucket.write(layout.report_page(params.run), REPORT)
    return params


@pytest.fixture
def page(browser: Browser, deployed_server: TestClient, published: FeaturesRunParams) -> Iterator[Page]:
    """A page of somebody who has logged in."""
    port = ports.choose({"airflow": 18080})["airflow"]
    running = uvicorn.Server(uvicorn.Config(deployed_server.app, port=port, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    assert wait_until(lambda: running.started, timeout_s=60, every_s=0.1)
    context = browser.new_context(base_url=f"http://127.0.0.1:{port}", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Username").fill(LOGIN["username"])
    page.get_by_label("Password").fill(LOGIN["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Fruit runs")).to_be_visible()
    yield page
    context.close()
    running.should_exit = True
    thread.join(30)


def in_frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Fruit runs']")


def test_from_the_navigation_to_a_report_and_to_its_dag_run(page: Page, published: FeaturesRunParams) -> None:
    page.get_by_role("link", name="Fruit runs").click()
    row = in_frame(page).get_by_role("row").filter(has_text="manual__1")
    expect(row).to_contain_text("published")
    expect(row).to_contain_text("4,320")
    row.get_by_role("link", name="report").click()
    expect(page).to_have_url(re.compile(f"/plugin/fruits/fruits/runs/{published.run}$"))
    results = in_frame(page).frame_locator("iframe").get_by_role("listitem")
    expect(results).to_have_count(4)
    assert sorted(results.all_text_contents()) == [
        "compiled refused",
        "cookie refused",
        "parent refused",
        "request refused",
    ]
    in_frame(page).get_by_role("link", name="DAG run").click()
    expect(page).to_have_url(re.compile("/dags/fruits_features/runs/manual__1$"))


def test_a_report_opened_by_itself_is_sandboxed_too(page: Page, published: FeaturesRunParams) -> None:
    page.goto(f"/fruits/runs/{published.run}/report.html")
    expect(page.get_by_text("cookie refused")).to_be_visible()
    expect(page.get_by_text("request refused")).to_be_visible()


def test_a_page_opened_by_its_address_inside_the_ui_is_shown(page: Page, published: FeaturesRunParams) -> None:
    page.goto(f"/plugin/fruits/fruits/runs/{published.run}")
    expect(in_frame(page).get_by_role("heading", name="Report of drop first")).to_be_visible()
    in_frame(page).get_by_role("link", name="Fruit runs").click()
    expect(in_frame(page).get_by_role("heading", name="Fruit runs")).to_be_visible()
