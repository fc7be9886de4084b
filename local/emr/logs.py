"""Bring logs to LogUri and scripts from S3, and read an error's cause out of a log; knows nothing of clusters."""

import gzip
import logging
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import boto3
from botocore.config import Config

S3_URI = re.compile(r"s3[an]?://([^/]+)/*(.*)")
LOG_NAMES = ("controller", "stdout", "stderr")
TAIL_BYTES, MESSAGE_CHARS = 256 * 1024, 1000
CAUSE = re.compile(r'^(Exception in thread "|Caused by: |Error: |([\w$]+\.)*\w+(Error|Exception)(:|$))')


class LogStore:
    """S3 as the service's environment configures it; an unreachable one must not hold a step's end for long."""

    def __init__(self) -> None:
        limits = Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 2})
        self._s3 = boto3.session.Session().client("s3", config=limits)

    def upload(self, folder: Path, uri: str) -> str:
        """Put a folder's logs to `uri`, gzipped; returns where stderr is now, for nothing fails by this in EMR either."""
        try:
            for name in LOG_NAMES:
                [(bucket, key)] = S3_URI.findall(f"{uri}{name}.gz")
                self._s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress((folder / name).read_bytes()))
        except Exception as error:  # boto3 raises many kinds; each is told, none may stop a cluster
            logging.getLogger("local.emr").warning("logs not uploaded to %s: %s", uri, error)
            return str(folder / "stderr")
        return f"{uri}stderr.gz"

    def fetch_script(self, path: str, folder: Path) -> Path | str:
        """Bring a script into `folder`, from `s3://bucket/key` or a path of this machine."""
        if (address := S3_URI.fullmatch(path)) is None:
            return shutil.copy(path.removeprefix("file://"), folder)
        self._s3.download_file(address[1], address[2], str(folder / Path(path).name))
        return folder / Path(path).name


def note(folder: Path, text: str) -> None:
    """Add a line to the controller's log."""
    with (folder / "controller").open("a", encoding="utf-8") as controller:
        controller.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z INFO {text}\n")


def find_cause(stderr: Path) -> str:
    """Find the line that says best why a program failed: the last Python exception, else Java's, else the last line."""
    with stderr.open("rb") as log:
        log.seek(max(0, stderr.stat().st_size - TAIL_BYTES))
        lines = [line.rstrip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    tracebacks = [number for number, line in enumerate(lines) if line.endswith("Traceback (most recent call last):")]
    raised = [line for line in lines[tracebacks[-1] + 1 :] if not line[0].isspace()][:1] if tracebacks else []
    causes = raised or [line for line in lines if CAUSE.match(line)] or lines
    return causes[-1].strip()[:MESSAGE_CHARS] if causes else ""
