"""docker-compose's services, started and used by tests as by a user: with make."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from fruits_airflow.bucket import Bucket
from fruits_airflow.tables import PublishedTable
from fruits_contract import layout
from local import REPO
from local.client.airflow_api import AirflowApi, DagRun
from local.client.upload import upload_drop
from local.compose import env
from local.stack import ports
from local.waiting import wait_until
from tests.compose import engine

DAG = "fruits_features"
RUN_LIMIT_S = 900
SERVICES = (
    "postgres",
    "localstack",
    "emr",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "serving",
)


class Composed:
    """One project of docker-compose, with a name, ports and secrets of its own."""

    def __init__(self, variables: dict[str, str], *, airflow_port: int, s3_port: int) -> None:
        self.variables = variables
        self.bucket = variables["BUCKET"]
        self.api = AirflowApi(f"http://127.0.0.1:{airflow_port}", user="admin", password=variables["AIRFLOW_PASSWORD"])
        self.s3_url = f"http://127.0.0.1:{s3_port}"
        self.serving_url = f"http://127.0.0.1:{variables['SERVING_PORT']}"

    def make(self, target: str, *, expect: int = 0, **variables: str) -> str:
        """Run a target of the Makefile and return what it printed."""
        return self._checked(["make", target], expect=expect, **variables)

    def docker(self, *argv: str) -> str:
        return self._checked(["docker", *argv])

    def compose(self, *argv: str) -> str:
        return self._checked(["docker", "compose", *argv])

    def containers(self) -> dict[str, str]:
        """Return the id of each service's container."""
        return {name: self.compose("ps", "--all", "--quiet", name).strip() for name in (*SERVICES, "init")}

    def kill(self, service: str) -> None:
        """End a service as a power cut does, and start it again."""
        self.compose("kill", "--signal", "KILL", service)
        self.docker("start", self.containers()[service])

    def is_serving(self) -> bool:
        """Return whether the prediction service has a model."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.serving_url}/ready").is_success
        return False

    def upload(self, folder: Path, drop: str) -> int:
        return upload_drop(folder, bucket=self.bucket, drop=drop).photos

    def run(self, drop: str, **params: object) -> DagRun:
        """Trigger the DAG and wait until the run is over."""
        return self.wait(self.api.trigger(DAG, {"drop": drop, **params}))

    def wait(self, run: str) -> DagRun:
        assert wait_until(lambda: self.now(run).is_over, timeout_s=RUN_LIMIT_S, every_s=1)
        return self.now(run)

    def now(self, run: str) -> DagRun:
        return self.patient(lambda: self.api.dag_run(DAG, run, order=self.api.task_order(DAG)))

    def state(self, run: str, task: str) -> str:
        return {item.task: item.state for item in self.now(run).tasks}.get(task, "")

    def rows(self, table: str, *columns: str, **partitions: str) -> dict[str, list[Any]]:
        bucket = Bucket(self.bucket, session=boto3.Session(), client=boto3.client("s3"))
        return PublishedTable(bucket, table).rows(*columns, **partitions).to_pydict()

    def manifest(self, run: str, stage: str) -> Any:
        key = layout.manifest(layout.run_name(run), stage)
        return json.loads(boto3.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def patient(self, ask: Callable[[], Any]) -> Any:
        """Repeat a question while the API server is starting."""
        return Retrying(stop=stop_after_delay(180), wait=wait_fixed(1), reraise=True)(ask)

    def _checked(self, argv: list[str], *, expect: int = 0, **variables: str) -> str:
        done = subprocess.run(
            argv,
            cwd=REPO,
            env={**os.environ, **self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == expect, f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout[-6000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """The services, built and up for one module of tests, and gone with their volumes and variables afterwards."""
    before = dict(os.environ)
    with engine.running() as variables:
        chosen = ports.choose({"airflow": 18080, "s3": 14566, "serving": 18000})
        variables = env.complete(REPO / ".env.example", tmp_path_factory.mktemp("compose") / ".env") | variables
        variables |= {
            "COMPOSE_PROJECT_NAME": "fruits-test",
            "AIRFLOW_PORT": str(chosen["airflow"]),
            "LOCALSTACK_PORT": str(chosen["s3"]),
            "SERVING_PORT": str(chosen["serving"]),
        }
        services = Composed(variables, airflow_port=chosen["airflow"], s3_port=chosen["s3"])
        os.environ.update(_client(services))
        boto3.setup_default_session()
        try:
            services.make("compose-up")
            yield services
        finally:
            services.make("compose-down", VOLUMES="1")
            os.environ.clear()
            os.environ.update(before)
            boto3.setup_default_session()


def _client(services: Composed) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-north-1",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_ENDPOINT_URL_S3": services.s3_url,
        "AWS_ALLOW_HTTP": "true",
    }
