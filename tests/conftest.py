"""Fixtures for tests of several folders: the reference photos beside the checkout, and the exported extractor."""

import importlib.util
import os
import sys
from pathlib import Path

import hypothesis
import pytest

from release import contents
from release import extractor as export

pytest_plugins = ["tests.fixtures.s3_server", "tests.fixtures.browser", "tests.fixtures.localstack"]

hypothesis.settings.register_profile("fruits", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("fruits")


def pytest_configure() -> None:
    """Let tests find the programs of this environment (weed, spark-submit), whether it is activated or not."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.fixture(scope="session")
def reference_photos() -> Path:
    """The folder with 18 varieties of Fruits-360 and `reference_features.npz`; the test is skipped where it is missing."""
    folder = contents.ROOT.parent / "shared" / "fruits-360"
    if not (folder / "reference_features.npz").is_file():
        pytest.skip(f"{folder} with the reference photos is not beside the checkout")
    return folder


@pytest.fixture(scope="session")
def extractor() -> export.Extractor:
    """The feature extractor, exported first where it is missing (about a minute)."""
    if export.find() is None and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("there is no extractor, and this environment has no TensorFlow to export it: run `make model` first")
    return export.ensure()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the end-to-end tests last: their stack sets the environment of this process for as long as it is up."""
    items.sort(key=lambda item: "e2e" in item.keywords)
