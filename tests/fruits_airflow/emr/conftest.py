"""A running EMR emulator, for what depends on the states of clusters and steps."""

from collections.abc import Iterator

import pytest

from fruits_airflow.bucket import Bucket
from tests.local.emr.conftest import run_service
from tests.local.emr.emr_client import Service


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with run_service(tmp_path_factory.mktemp("emr"), keys) as running:
        yield running


@pytest.fixture
def emulated_account(emulator: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The emulator as the EMR of every client that a test makes."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_EMR", emulator.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return emulator


@pytest.fixture
def connection(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, which is the one of the Airflow connection."""
    monkeypatch.setattr(Bucket, "of", classmethod(lambda cls, *_, **__: bucket))
    return bucket
