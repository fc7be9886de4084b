"""Fixtures: a real S3 server, a client and a bucket of its own for each test."""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_s3 import S3Client

from local.stack import ports

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test-key",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_REGION": "eu-north-1",
    "AWS_DEFAULT_REGION": "eu-north-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_ALLOW_HTTP": "true",
}
START_LIMIT_S = 60


@pytest.fixture(scope="session")
def s3_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a SeaweedFS of its own; yield the AWS_* variables that reach it."""
    chosen = ports.choose(
        dict.fromkeys(("s3", "master", "volume", "filer", "admin"), 12345),
        with_grpc=("s3", "master", "volume", "filer", "admin"),
    )
    environment = ENVIRONMENT | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{chosen['s3']}"}
    folder = tmp_path_factory.mktemp("s3")
    words = [
        "weed",
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-webdav=false",
        "-admin.ui=false",
        "-filer.saveToFilerLimit=65536",
    ]
    words += [f"-{name}.port={port}" for name, port in chosen.items()] + ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    words += [f"-{name}.localSocket={folder}/{name}.sock" for name in ("s3", "filer")] + ["-master.telemetry=false"]
    with (folder / "weed.log").open("wb") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, **environment}, cwd=folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            _wait_until_ready(boto3.client("s3"), server, folder / "weed.log")
        yield environment
    finally:
        server.kill()  # asked to end, it takes 12 s to flush what nobody will read
        server.wait()


def _wait_until_ready(client: S3Client, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            client.create_bucket(Bucket="first")
            client.put_object(Bucket="first", Key="ready", Body=b"")
        except (BotoCoreError, ClientError):
            time.sleep(0.2)  # a server that starts has no event to wait for
        else:
            return
    raise RuntimeError(f"weed mini did not answer within {START_LIMIT_S} s; it said:\n{log.read_text()[-2000:]}")


@pytest.fixture
def s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> S3Client:
    """A client of the test's S3 server; every other client made in the test reaches it too."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    return boto3.client("s3")


@pytest.fixture
def bucket(s3: S3Client) -> str:
    """A new, empty bucket."""
    name = f"fruits-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name
