"""Runs one program beside this process, and leaves none of it running."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from local import REPO

STOP_LIMIT_S = 30


@contextmanager
def started(argv: Sequence[str], *, env: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program for the body, and terminate it afterwards, also when the body is interrupted."""
    program = subprocess.Popen(argv, env=env, cwd=REPO)
    try:
        yield program
    finally:
        program.terminate()
        try:
            program.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def run(argv: Sequence[str], *, env: Mapping[str, str]) -> int:
    """Start a program, wait for it, and return its exit code; when this is interrupted, the program is terminated first."""
    with started(argv, env=env) as program:
        return program.wait()
