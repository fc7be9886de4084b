"""Logs of steps and bootstrap actions: write them, upload them to LogUri, find the cause of a failure in them."""

import gzip
import logging
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import boto3
from botocore.config import Config

S3_URI = re.compile(r"s3[an]?://[^/]+/*.*")
LOG_NAMES = ("controller", "stdout", "stderr")
TAIL_BYTES, MESSAGE_CHARS = 256 * 1024, 1000
CAUSE = re.compile(r'^(Exception in thread "|Caused by: |Error: |([\w$]+\.)*\w+(Error|Exception)(:|$))')
logger = logging.getLogger("local.emr")


class LogStore:
    """S3, as the environment of the service configures it."""

    def __init__(self) -> None:
        # Short timeouts: an unreachable S3 must not delay the end of a step for long.
        config = Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 2})
        self._s3 = boto3.session.Session().client("s3", config=config)

    def upload(self, folder: Path, uri: str) -> str:
        """Upload the logs of a folder below `uri`; return where stderr is. As in EMR, a failed upload fails nothing else."""
        try:
            bucket, prefix = split_uri(uri)
            for name in LOG_NAMES:
                body = gzip.compress((folder / name).read_bytes())
                self._s3.put_object(Bucket=bucket, Key=f"{prefix}{name}.gz", Body=body)
        except Exception as error:  # boto3 raises many types; none of them may stop a cluster
            logger.warning("logs not uploaded to %s: %s", uri, error)
            return str(folder / "stderr")
        return f"{uri}stderr.gz"

    def fetch_script(self, path: str, folder: Path) -> Path:
        """Copy a script into `folder`, from `s3://bucket/key` or from a path on this machine."""
        target = folder / Path(path).name
        if S3_URI.fullmatch(path):
            self._s3.download_file(*split_uri(path), str(target))
        else:
            shutil.copy(path.removeprefix("file://"), target)
        return target


def split_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key.lstrip("/")


def note(folder: Path, text: str) -> None:
    """Add a line to the controller log of a folder."""
    with (folder / "controller").open("a", encoding="utf-8") as controller:
        controller.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z INFO {text}\n")


def find_cause(stderr: Path) -> str:
    """Find the line that explains a failure best: the last Python exception, else Java's, else the last line."""
    with stderr.open("rb") as log:
        log.seek(max(0, stderr.stat().st_size - TAIL_BYTES))
        lines = [line.rstrip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    causes = [line for line in lines if CAUSE.match(line)] or lines
    tracebacks = [number for number, line in enumerate(lines) if line.endswith("Traceback (most recent call last):")]
    if tracebacks:  # the exception follows the indented frames
        causes = [line for line in lines[tracebacks[-1] + 1 :] if not line[0].isspace()][:1] or causes
    return causes[-1].strip()[:MESSAGE_CHARS] if causes else ""
