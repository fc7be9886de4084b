"""Takes the pictures of docs/pictures in a real browser, from one real run.

They show the trigger form, the run, its report, the page of all runs and the page on a phone.

Run as `make pictures`; IMAGES names a folder of photos, without it synthetic ones are used. The run has services and a state
folder of its own.
"""

import argparse
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from fruits_contract import layout
from local import AIRFLOW_USER, serve
from local.client import results, synthetic_photos
from local.client.options import RunRequest
from local.client.run import DAG, run
from local.deploy import deploy
from local.stack import services
from local.stack.stack import Stack
from local.waiting import wait_until

PICTURES = Path(__file__).resolve().parent / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Only requests of the pages themselves, none of the browser to its vendor.
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update")
DROP = "fruits-2026-11"
PATIENCE_MS = 60_000
# A larger picture is reduced to 256 colours.
LARGE_BYTES = 250_000
GRAPH_WIDTH_PX = 520
PHONE: ViewportSize = {"width": 360, "height": 740}
# Panels on top of the graph's nodes; the table's columns of check boxes, map indices, tries and buttons.
LEFT_OUT = """
.react-flow__panel,
tr > :is(:nth-child(1), :nth-child(3), :nth-child(6), :nth-child(9)) { display: none }
"""


def main() -> int:
    """Make a run and a training, and take the pictures; 1 when one of both fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder with one folder of photos per variety")
    parser.add_argument("--drop", default=DROP, metavar="NAME", help="name that the pictures show (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, _own_services(Path(scratch)) as running:
        images = arguments.images or Path(scratch) / "synthetic"
        if not arguments.images:
            synthetic_photos.generate(images)
        failed = run(deploy(running), RunRequest(arguments.drop, images, {"mode": "fit"}, train=True))
        if failed:
            return failed
        PICTURES.mkdir(exist_ok=True)
        with _browser() as browser:
            context = _log_in(browser, running)
            _save("trigger_form", _trigger_form(context, drop=arguments.drop))
            run_id = _manual_run(context)
            _save("dag", _finished_run(context, run_id))
            _save("runs", _all_runs(context))
            fetched = results.fetch(running.bucket, run_id, into=Path(scratch) / "out")
            _save("report", _report(browser, fetched.files[layout.report_page(layout.run_name(run_id))]))
            with serve.started(running) as (_, url):
                _save("phone", _phone(browser, url, photo=sorted(images.rglob("*.jpg"))[0]))
    return 0


@contextmanager
def _own_services(scratch: Path) -> Iterator[Stack]:
    with services.session(Stack.load(scratch / "state")) as running:
        yield running


@contextmanager
def _browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit(f"no browser on the PATH; expected one of {', '.join(BROWSERS)} (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        # Chromium refuses to start as root with its sandbox; everybody else keeps it.
        is_sandboxed = os.geteuid() != 0
        browser = playwright.chromium.launch(executable_path=program, args=QUIET, chromium_sandbox=is_sandboxed)
        yield browser
        browser.close()


def _log_in(browser: Browser, running: Stack) -> BrowserContext:
    context = browser.new_context(
        base_url=running.url("airflow"), reduced_motion="reduce", viewport={"width": 1400, "height": 1000}
    )
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Username").fill(AIRFLOW_USER)
    page.get_by_label("Password").fill(running.secrets.airflow_password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()
    return context


def _trigger_form(context: BrowserContext, *, drop: str) -> bytes:
    page = context.new_page()
    page.set_viewport_size({"width": 1400, "height": 1900})
    page.goto(f"/dags/{DAG}")
    # The dialog is 896 wide, half of it air; larger letters are easier to read where the picture is shown small.
    page.add_style_tag(content="[role=dialog] { zoom: 1.35 }")
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    form.locator("[name=element_drop]").fill(drop)
    form.get_by_role("combobox", name="mode").click()
    page.get_by_role("option", name="fit", exact=True).click()
    # No cursor and no frame around a field
    form.get_by_role("heading", name="Trigger Dag").click()
    return form.screenshot(animations="disabled")


def _manual_run(context: BrowserContext) -> str:
    (found,) = context.request.get(f"/api/v2/dags/{DAG}/dagRuns?run_type=manual").json()["dag_runs"]
    return str(found["dag_run_id"])


def _finished_run(context: BrowserContext, run_id: str) -> bytes:
    page = context.new_page()
    page.goto(f"/dags/{DAG}/runs/{quote(run_id)}")
    page.get_by_role("button", name="Show Graph").click()
    _lay_out_downwards(page)
    expect(page.get_by_role("heading", name=re.compile("[0-9]+ Task Instances"))).to_be_visible()
    return page.screenshot(animations="disabled")


def _all_runs(context: BrowserContext) -> bytes:
    page = context.new_page()
    page.set_viewport_size({"width": 1400, "height": 500})
    page.goto("/plugin/fruits")
    expect(page.frame_locator("iframe").get_by_role("link", name="report")).to_be_visible()
    page.wait_for_load_state("networkidle")  # Airflow loads the frame again once its own menu is there
    return page.screenshot(animations="disabled")


def _lay_out_downwards(page: Page) -> None:
    """Draw the graph from top to bottom in a narrow panel: all tasks in a row would be too small to read."""
    page.get_by_role("button", name="Options").click()
    page.get_by_role("combobox", name="Graph Direction").click()
    page.get_by_role("option", name="Top to Bottom").click()
    page.keyboard.press("Escape")
    divider = page.get_by_role("separator").bounding_box()
    assert divider is not None
    page.mouse.move(divider["x"] + 1, divider["y"] + 40)
    page.mouse.down()
    page.mouse.move(GRAPH_WIDTH_PX, divider["y"] + 40, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Fit View").click()
    page.add_style_tag(content=LEFT_OUT)
    # A hover waits until the node stands still.
    page.get_by_test_id("rf__wrapper").get_by_text("Terminate cluster").hover()
    page.mouse.move(0, 0)


def _report(browser: Browser, file: Path) -> bytes:
    page = browser.new_page(viewport={"width": 1150, "height": 1700})
    page.goto(file.as_uri())
    page.locator("html[data-ready]").wait_for()
    page.get_by_label("t-SNE").check()
    return page.screenshot(animations="disabled")


def _phone(browser: Browser, url: str, *, photo: Path) -> bytes:
    """Ask the page about a photo, on a small phone."""
    assert wait_until(lambda: _is_ready(url), timeout_s=60, every_s=0.5), "the service has not become ready"
    page = browser.new_page(viewport=PHONE, device_scale_factor=2)
    page.goto(url)
    page.set_input_files("#file", photo)
    expect(page.locator("#details")).not_to_be_empty()
    return page.screenshot(full_page=True, animations="disabled")


def _is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/ready").is_success
    return False


def _save(name: str, png: bytes) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    path = PICTURES / f"{name}.png"
    picture.save(path, optimize=True)
    if path.stat().st_size > LARGE_BYTES:
        picture.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    sys.exit(main())
