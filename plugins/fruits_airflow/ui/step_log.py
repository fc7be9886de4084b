"""The output of an EMR step, from the bucket."""

import gzip
from dataclasses import dataclass

from fruits_airflow.bucket import Bucket
from fruits_contract import layout

STREAMS = ("stdout", "stderr", "controller")
LINES = 2000


@dataclass(frozen=True, kw_only=True)
class StepOutput:
    """The last `LINES` lines of one stream; `left_out` counts those before them, and `lines` is None without a log."""

    stream: str
    lines: list[str] | None
    left_out: int = 0


def read_step_log(bucket: Bucket, *, cluster: str, step: str) -> list[StepOutput]:
    """Return what the step wrote. EMR archives it every five minutes and when the step has ended."""
    return [_read(bucket, layout.step_log(cluster, step, stream), stream) for stream in STREAMS]


def _read(bucket: Bucket, key: str, stream: str) -> StepOutput:
    try:
        content = bucket.read(key)
    except FileNotFoundError:
        return StepOutput(stream=stream, lines=None)
    lines = gzip.decompress(content).decode(errors="replace").splitlines()
    return StepOutput(stream=stream, lines=lines[-LINES:], left_out=max(0, len(lines) - LINES))
