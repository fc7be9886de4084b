"""No key or password of the services is in a log: of the services themselves, of tasks, of steps, of Spark."""

from dataclasses import asdict

import pytest

from tests.e2e.embedded_stack import Ended, Stack

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


def test_no_secret_is_in_a_log(stack: Stack, first: Ended) -> None:
    services = stack.services
    folders = (services.logs, services.airflow / "logs", services.emr, services.state / "spark-events")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".zstd"]
    assert any("task_id=featurize" in str(path) for path in files)
    assert any(path.name == "stderr" for path in files)
    secrets = asdict(services.secrets)
    found = [(path, name) for path in files for name, value in secrets.items() if value.encode() in path.read_bytes()]
    assert found == []
