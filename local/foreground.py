"""Runs one program in the foreground until it ends or is interrupted, and leaves none of it running."""

import subprocess
from collections.abc import Mapping, Sequence

from local import REPO

STOP_LIMIT_S = 30


def run(argv: Sequence[str], *, env: Mapping[str, str]) -> int:
    """Start a program, wait for it, and return its exit code; when this is interrupted, the program is terminated first."""
    program = subprocess.Popen(argv, env=env, cwd=REPO)
    try:
        return program.wait()
    finally:
        program.terminate()
        try:
            program.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
