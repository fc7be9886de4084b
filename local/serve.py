"""Runs the prediction service on the embedded services: `make serve`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.exceptions import ClientError

from fruits_contract import layout
from local import foreground
from local.console import say
from local.stack import ports
from local.stack.stack import Stack, kept_variables

PREFERRED_PORT = 8000


class NoClassifier(RuntimeError):
    """There is no current classifier; the message has the command that makes one."""


@contextmanager
def started(stack: Stack) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """Run the service for the body, with its process and its address; it begins to answer within a few seconds.

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
    port = int(os.environ.get("FRUITS_PORT", 0)) or ports.choose({"serving": PREFERRED_PORT})["serving"]
    own = {name: value for name, value in os.environ.items() if name.startswith("FRUITS_")}
    key = {"FRUITS_CONTRIBUTOR_KEY": stack.secrets.contributor_key}
    environment = {**kept_variables(), **key, **own, **stack.env, "FRUITS_PORT": str(port)}
    with foreground.started([sys.executable, "-m", "serving"], env=environment) as process:
        yield process, f"http://127.0.0.1:{port}"


def serve(stack: Stack) -> int:
    """Run the service in the foreground until it is interrupted, and return its exit code; raises as `started`."""
    with started(stack) as (process, url):
        say(f"The page: {url}   the API: {url}/docs   Ctrl-C stops it\n  curl -F photo=@photo.jpg {url}/predict")
        return process.wait()


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
