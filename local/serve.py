"""Runs the prediction service on the embedded services: `make serve`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from botocore.exceptions import ClientError

from fruits_contract import layout
from local import REPO
from local.console import say
from local.stack import ports
from local.stack.stack import Stack, kept_variables

PREFERRED_PORT = 8000
STOP_LIMIT_S = 30


class NoClassifier(RuntimeError):
    """There is no current classifier; the message has the command that makes one."""


@dataclass(frozen=True)
class Service:
    """The running service: its process and its address."""

    process: "subprocess.Popen[bytes]"
    url: str


@contextmanager
def started(stack: Stack) -> Iterator[Service]:
    """Run the service for the body; it begins to answer within a few seconds.

    Raises
    ------
    NoClassifier
        When none has been trained yet.
    """
    if not _has_classifier(stack):
        raise NoClassifier(
            "There is no classifier yet. This trains one on your photos, in a folder per variety:\n"
            "  make run IMAGES=folder TRAIN=1"
        )
    port = ports.choose({"serving": PREFERRED_PORT})["serving"]
    limits = {name: value for name, value in os.environ.items() if name.startswith("FRUITS_")}
    environment = {**kept_variables(), **limits, **stack.env, "FRUITS_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "serving"], env=environment, cwd=REPO)
    try:
        yield Service(process, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()


def serve(stack: Stack) -> int:
    """Run the service in the foreground until it is interrupted, and return its exit code; raises as `started`."""
    with started(stack) as service:
        url = service.url
        say(f"The page: {url}   the API: {url}/docs   Ctrl-C stops it\n  curl -F photo=@photo.jpg {url}/predict")
        return service.process.wait()


def _has_classifier(stack: Stack) -> bool:
    client = boto3.client(
        "s3",
        endpoint_url=stack.url("s3"),
        region_name=stack.region,
        aws_access_key_id=stack.aws_env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.aws_env["AWS_SECRET_ACCESS_KEY"],
    )
    try:
        pointer = client.get_object(Bucket=stack.bucket, Key=layout.CURRENT_MODELS)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return False
        raise
    return "classifier" in json.loads(pointer)
