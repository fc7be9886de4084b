"""A browser page of somebody who has logged in through Airflow's own form."""

from playwright.sync_api import Browser, Page, expect

from local import AIRFLOW_USER
from tests.e2e.embedded_stack import Stack

PATIENCE_MS = 60_000


def logged_in_page(browser: Browser, stack: Stack) -> Page:
    context = browser.new_context(base_url=stack.services.url("airflow"), viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Username").fill(AIRFLOW_USER)
    page.get_by_label("Password").fill(stack.services.secrets.airflow_password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()
    return page
