"""The embedded services behind fault proxies, and the record of every row of the fault matrix."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from local import REPO
from local.client import synthetic_photos
from local.stack import programs, readiness, services
from local.stack.stack import Stack as Services
from tests.e2e.embedded_stack import REAL_PHOTOS, Stack, arrange
from tests.faults.fault_proxy import FaultProxy
from tests.faults.matrix import FaultyStack, Row

RESULTS = REPO / "out" / "faults.json"
VARIETIES, FIRST_PHOTOS, PHOTOS = 3, 14, 4


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    """The services, S3 and EMR behind proxies, with one published drop."""
    state = tmp_path_factory.mktemp("faults")
    loaded = Services.load(state)
    proxies = {name: FaultProxy(lambda name=name: Services.load(state).ports[name]) for name in ("s3", "emr")}
    url, wait = Services.url, readiness.wait
    patch = pytest.MonkeyPatch()
    environment = dict(os.environ)

    def proxied_url(stack: Services, server: str) -> str:
        return f"http://127.0.0.1:{proxies[server].port}" if server in proxies else url(stack, server)

    @contextmanager
    def direct() -> Iterator[None]:
        """Leave the proxies out, whose thread waits while delta-rs in this process holds the interpreter's lock."""
        with pytest.MonkeyPatch.context() as without:
            without.setattr(Services, "url", url)
            yield

    def wait_without_proxies(stack: Services) -> None:
        """Wait for the services themselves: a proxy answers before they do."""
        with direct():
            wait(stack)

    with proxies["s3"].running(), proxies["emr"].running():
        patch.setattr(Services, "url", proxied_url)
        # Other services of this machine, started meanwhile, take the usual ones.
        patch.setattr(programs, "PREFERRED_PORTS", {name: port + 13_000 for name, port in programs.PREFERRED_PORTS.items()})
        patch.setattr(readiness, "wait", wait_without_proxies)
        try:
            with services.session(loaded) as running:
                with direct():
                    os.environ.update(running.env)
                boto3.setup_default_session()  # the one of earlier tests keeps their keys
                faulty = FaultyStack(Stack(running), proxies["s3"], proxies["emr"])
                faulty.stack.upload(photo_folder(tmp_path_factory, 0, FIRST_PHOTOS), "base")
                assert faulty.stack.run("base").state == "success"
                yield faulty
        finally:
            os.environ.clear()
            os.environ.update(environment)
            boto3.setup_default_session()
            patch.undo()


def photo_folder(factory: pytest.TempPathFactory, first: int, count: int) -> Path:
    """Return a folder with `count` photos of each of a few varieties, from the number `first` on."""
    source = REAL_PHOTOS
    if not source.is_dir():
        source = factory.mktemp("synthetic")
        synthetic_photos.generate(source, per_variety=first + count)
    chosen = {
        folder.name: sorted(folder.glob("*.jpg"))[first : first + count]
        for folder in sorted(path for path in source.iterdir() if path.is_dir())[:VARIETIES]
    }
    return arrange(factory.mktemp("drop"), chosen)


@pytest.fixture
def drop(request: pytest.FixtureRequest, faulty: FaultyStack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A drop of this test's own, uploaded."""
    name = request.node.name.removeprefix("test_").replace("_", "-").replace("[", "-").rstrip("]")[:80]
    faulty.stack.upload(photo_folder(tmp_path_factory, FIRST_PHOTOS, PHOTOS), name)
    return name


@pytest.fixture(scope="session")
def record() -> Callable[[Row], None]:
    """Write a row to out/faults.json, clean or not, instead of an earlier one of the same fault; then check that it is clean."""
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=REPO, capture_output=True, text=True, check=False)
    commit = git.stdout.strip() or "unknown"

    def record_and_check(row: Row) -> None:
        rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        rows[row.fault] = asdict(row) | {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
        assert row.outcome.is_clean, row

    return record_and_check
