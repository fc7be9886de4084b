"""The trigger form as a person meets it: a real browser, from the login to the run that it started."""

from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, Response, expect

from fruits_contract.features_pipeline import FEATURES_PIPELINE, MODES
from local import AIRFLOW_USER
from local.client.airflow_api import AirflowRefused
from tests.e2e.airflow_login import logged_in_page
from tests.e2e.embedded_stack import DAG, Stack, arrange

pytestmark = [
    pytest.mark.slow,
    pytest.mark.e2e,
    pytest.mark.browser,
]

DROP = "from-the-form"
PHOTOS_PER_VARIETY = 3


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Stack) -> Page:
    """A page of somebody who has logged in through Airflow's own form."""
    return logged_in_page(browser, stack)


@pytest.fixture
def form(page: Page) -> Locator:
    """The trigger form, just opened."""
    page.goto(f"/dags/{DAG}")
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    expect(field(form, FEATURES_PIPELINE.trigger[0].name)).to_be_visible()
    return form


def open_section(form: Locator, name: str) -> None:
    """Open the section of a parameter; the form closes the others."""
    (section,) = (spec.section for spec in FEATURES_PIPELINE.trigger if spec.name == name)
    heading = form.get_by_role("button", name=section or "Run Parameters", exact=True)
    if heading.get_attribute("aria-expanded") == "false":
        heading.click()
    expect(field(form, name)).to_be_visible()


def field(form: Locator, name: str) -> Locator:
    """The row of one parameter: label, input and explanation."""
    return form.get_by_role("group").filter(has=form.page.locator(f"[name=element_{name}]"))


def box(form: Locator, name: str) -> Locator:
    return form.locator(f"input[name=element_{name}]")


def press_trigger(form: Locator) -> tuple[int, dict]:
    """Submit the form; return the status and the body of the API's answer."""

    def is_response(response: Response) -> bool:
        return response.request.method == "POST" and response.url.endswith(f"/dags/{DAG}/dagRuns")

    with form.page.expect_response(is_response) as response:
        form.get_by_role("button", name="Trigger", exact=True).click()
    return response.value.status, response.value.json()


def manual_runs(stack: Stack) -> set[str]:
    return {run["dag_run_id"] for run in stack._runs(DAG) if run["run_type"] == "manual"}


def test_the_form_explains_every_parameter(form):
    for spec in FEATURES_PIPELINE.trigger:
        open_section(form, spec.name)
        expect(field(form, spec.name)).to_contain_text(spec.name)
        expect(field(form, spec.name)).to_contain_text(spec.description)


def test_mode_is_chosen_from_its_three_values(form):
    form.get_by_role("combobox", name="mode").click()
    expect(form.page.get_by_role("option")).to_have_text(MODES)


def test_a_variance_above_its_maximum_is_brought_back_to_it_before_it_is_sent(stack, form):
    open_section(form, "variance")
    box(form, "variance").fill("2")
    box(form, "variance").press("Tab")
    expect(box(form, "variance")).to_have_value("1")
    with pytest.raises(AirflowRefused, match="variance: 2 is greater than the maximum of 1"):
        stack.api.trigger(DAG, {"variance": 2})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("variance", "0", "Invalid input for param variance: 0 is less than or equal to the minimum of 0"),
        ("drop", "my photos", "Invalid input for param drop: 'my photos' does not match"),
    ],
)
def test_a_value_out_of_bounds_starts_no_run_and_the_form_says_why(stack, form, name, value, reason):
    before = manual_runs(stack)
    open_section(form, name)
    box(form, name).fill(value)
    status, _ = press_trigger(form)
    assert status == 400
    expect(form.get_by_text(reason)).to_be_visible()
    expect(box(form, name)).to_have_value(value)
    assert manual_runs(stack) == before


def test_a_run_started_from_the_form_becomes_a_success(stack: Stack, form, page, photos, tmp_path: Path):
    chosen = {name: files[20 : 20 + PHOTOS_PER_VARIETY] for name, files in photos.items()}
    stack.upload(arrange(tmp_path, chosen), DROP)
    box(form, "drop").fill(DROP)
    status, answer = press_trigger(form)
    assert status == 200, answer
    expect(form).to_be_hidden()
    run_id = answer["dag_run_id"]

    ended = stack.wait(DAG, run_id)

    assert ended.state == "success"
    run = stack.api.request("GET", f"/dags/{DAG}/dagRuns/{run_id}")
    assert run["conf"] == {spec.name: spec.default for spec in FEATURES_PIPELINE.trigger} | {"drop": DROP}
    assert run["triggering_user_name"] == AIRFLOW_USER
    assert ended.manifest("featurize")["rows_in"] == PHOTOS_PER_VARIETY * len(photos)
    page.goto(f"/dags/{DAG}/runs/{quote(run_id)}")
    expect(page.get_by_role("heading", name=run_id)).to_be_visible()
    expect(page.get_by_test_id("state-badge").filter(has_text="Success").first).to_be_visible()
    expect(page.get_by_role("row", name="publish Success")).to_be_visible()
