"""Nodes and EMR whose clock is wrong, by libfaketime (Debian's package `faketime`); services of their own."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from local.stack import programs, services
from local.stack.programs import Program
from local.stack.stack import Stack as Services
from tests.e2e.embedded_stack import Stack
from tests.faults.conftest import FIRST_PHOTOS, PHOTOS, photo_folder
from tests.faults.matrix import Row
from tests.faults.outcome import Outcome, Published

pytestmark = [pytest.mark.slow, pytest.mark.separate]

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
SKEW_S = 600  # S3 refuses signatures that are 15 minutes off


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Services whose EMR, with all that it starts, is ahead of everything else; one published drop."""
    if LIBRARY is None:
        pytest.skip("there is no libfaketime here; install the package faketime")
    ahead = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"+{SKEW_S}s"}
    table = programs.table

    def with_wrong_clock(stack: Services) -> list[Program]:
        of_emr = ("emr", "spark-history")
        return [replace(each, environment=each.environment | ahead) if each.name in of_emr else each for each in table(stack)]

    environment = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "table", with_wrong_clock)
        try:
            with services.session(Services.load(tmp_path_factory.mktemp("skewed"))) as running:
                os.environ.update(running.env)
                boto3.setup_default_session()
                stack = Stack(running)
                stack.upload(photo_folder(tmp_path_factory, 0, FIRST_PHOTOS), "base")
                assert stack.run("base").state == "success"
                yield stack
        finally:
            os.environ.clear()
            os.environ.update(environment)
            boto3.setup_default_session()


def test_clock_ahead(skewed: Stack, record: Callable[[Row], None], tmp_path_factory: pytest.TempPathFactory) -> None:
    (cluster,) = skewed.clusters()
    created = cluster["Status"]["Timeline"]["CreationDateTime"].timestamp()
    before, began = Published.of(skewed), time.monotonic()
    assert created > time.time(), "the clock is wrong indeed"
    skewed.upload(photo_folder(tmp_path_factory, FIRST_PHOTOS, PHOTOS), "skewed")
    ended = skewed.run("skewed")
    assert ended.state == "success", ended.tasks
    outcome = Outcome.of(skewed, "skewed", before=before)
    seconds = round(time.monotonic() - began)
    record(Row(f"clock of EMR and its nodes {SKEW_S // 60} min ahead", ended.state, "the run itself", seconds, outcome))
