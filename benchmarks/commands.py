"""Runs a program to its end and measures how long it takes."""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

LAST_LINES = 30
END_OF_TRACEBACK = re.compile(r"^Traceback .*\n(?: .*\n)+(\S.*)", re.MULTILINE)


class CannotMeasure(Exception):
    """A program failed, or its result is wrong, or something is missing; the first line of the message is the reason."""


@dataclass(frozen=True)
class Finished:
    """A program that succeeded: its duration and what it printed."""

    seconds: float
    stdout: str

    @property
    def result(self) -> Any:
        """The last line of the output, parsed as JSON."""
        return json.loads(self.stdout.splitlines()[-1])


def run(argv: Sequence[str], env: Mapping[str, str] | None = None) -> Finished:
    """Run a program in a temporary folder; `env` is added to the environment of this process."""
    # files rather than pipes: a daemon that outlives the program would keep a pipe open
    with TemporaryDirectory() as folder, TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        began = time.monotonic()
        try:
            done = subprocess.run(argv, env={**os.environ, **(env or {})}, cwd=folder, stdout=stdout, stderr=stderr, check=False)
        except OSError as error:
            raise CannotMeasure(str(error)) from error
        seconds = time.monotonic() - began
        stdout.seek(0)
        stderr.seek(0)
        output, errors = stdout.read(), stderr.read()
    if done.returncode:
        message = f"{Path(argv[0]).name}: exit code {done.returncode}"
        if tracebacks := END_OF_TRACEBACK.findall(output + errors):
            message += f", {tracebacks[-1]}"
        raise CannotMeasure("\n".join([message, *(output + errors).splitlines()[-LAST_LINES:]]))
    return Finished(seconds, output)
