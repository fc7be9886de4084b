"""The pages inside Airflow's UI: behind its login, in a real browser, about a real run."""

import os
import re
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from fruits_contract import layout
from tests.e2e.airflow_login import logged_in_page
from tests.e2e.embedded_stack import DAG, Ended, Stack

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.browser]

SCREENSHOTS = os.environ.get("SCREENSHOTS")
TRIES_TO_LEAVE = """
async () => {
  const attempts = {
    cookie: () => document.cookie,
    parent: () => window.parent.document.title,
    request: () => fetch("/api/v2/dags"),
  }
  const refused = {}
  for (const [name, attempt] of Object.entries(attempts)) {
    try { await attempt(); refused[name] = "allowed" } catch (error) { refused[name] = error.name }
  }
  return refused
}
"""


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Stack) -> Page:
    return logged_in_page(browser, stack)


def in_frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Fruit runs']")


def keep_screenshot(page: Page, name: str) -> None:
    """Keep what a person would see, where SCREENSHOTS names a folder."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


@pytest.mark.parametrize(
    "path", ["", "runs/x", "runs/x/report.html", "trainings/x", "classifiers/x/card.html", "logs/j/s", "spark/j"]
)
def test_an_anonymous_request_is_refused(stack: Stack, path: str) -> None:
    address = f"{stack.services.url('airflow')}/fruits/{path}"
    assert httpx.get(address).status_code == 401
    assert httpx.get(address, headers={"Authorization": "Bearer e30.e30.e30"}).status_code in (401, 403)


def test_the_navigation_leads_to_the_page_of_all_runs(page: Page, first: Ended) -> None:
    page.goto("/")
    page.get_by_role("link", name="Fruit runs").click()
    row = in_frame(page).get_by_role("row").filter(has_text=first.dag_run.id)
    expect(row).to_contain_text("published")
    expect(row).to_contain_text(f"{first.manifest('featurize')['rows_in']:,}")
    keep_screenshot(page, "runs")


def test_the_report_is_shown_and_cannot_use_the_login(page: Page, first: Ended) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    outside: list[str] = []
    origin = page.url.split("/plugin")[0]
    page.on(
        "request", lambda request: None if request.url.startswith((origin, "data:", "blob:")) else outside.append(request.url)
    )
    page.goto("/plugin/fruits")
    row = in_frame(page).get_by_role("row").filter(has_text=first.dag_run.id)
    row.get_by_role("link", name="report").click()
    report = in_frame(page).frame_locator("iframe")
    expect(report.get_by_text(first.run).first).to_be_visible()
    keep_screenshot(page, "report")
    assert problems == []
    assert outside == []
    (frame,) = (frame for frame in page.frames if frame.url.endswith("/report.html"))
    assert frame.evaluate(TRIES_TO_LEAVE) == {"cookie": "SecurityError", "parent": "SecurityError", "request": "TypeError"}


def test_a_link_to_the_dag_run_leaves_the_frame(page: Page, first: Ended) -> None:
    page.goto("/plugin/fruits")
    in_frame(page).get_by_role("link", name=first.dag_run.id).click()
    expect(page).to_have_url(re.compile(f"/dags/{DAG}/runs/[^/]+$"))
    expect(page.get_by_role("heading", name=first.dag_run.id)).to_be_visible()


def test_tasks_link_to_the_report_and_to_the_steps_output(page: Page, first: Ended) -> None:
    page.goto(f"/dags/{DAG}/runs/{quote(first.dag_run.id)}/tasks/report/details")
    keep_screenshot(page, "links")
    # The task has this name as well, and links to itself elsewhere on the page.
    report = page.get_by_role("link", name="Report", exact=True).and_(page.locator("[target]"))
    expect(report).to_have_attribute("href", re.compile(f"/plugin/fruits/fruits/runs/{layout.run_name(first.dag_run.id)}$"))
    log = page.get_by_role("link", name="Step log").get_attribute("href")
    assert log
    page.goto(log)
    expect(in_frame(page).get_by_role("heading", name="stdout")).to_be_visible()
    expect(in_frame(page).locator("pre").first).not_to_be_empty()
    keep_screenshot(page, "step_log")


def test_a_task_links_to_the_spark_history_of_its_cluster(page: Page, stack: Stack, first: Ended) -> None:
    page.goto(f"/dags/{DAG}/runs/{quote(first.dag_run.id)}/tasks/featurize/details")
    page.get_by_role("link", name="Spark history").click()
    history = stack.services.url("spark-history")
    expect(page).to_have_url(f"{history}/")
    name = f"fruits featurize {first.run}"
    page.get_by_label("Search").fill(name)  # the list has pages, and other tests have run stages since
    application = page.get_by_role("row").filter(has_text=name)
    expect(application).to_be_visible()
    keep_screenshot(page, "spark_history")
    application.get_by_role("link").first.click()
    expect(page.get_by_text(re.compile(r"^Completed Jobs \("))).to_be_visible()
    keep_screenshot(page, "spark_jobs")
    ids = {item["name"]: item["id"] for item in httpx.get(f"{history}/api/v1/applications").json()}
    environment = httpx.get(f"{history}/api/v1/applications/{ids[name]}/environment")
    assert "spark.eventLog.dir" in environment.text
    for key in (stack.services.secrets.s3_access_key, stack.services.secrets.s3_secret_key):
        assert key not in environment.text, "the history shows the keys of S3"
