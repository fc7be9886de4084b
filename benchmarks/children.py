"""Child processes of a benchmark: timed, with their output kept, and none of them outlives it.

It must not know what they do.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import psutil

from local.emr.node import GUARDED

LAST_LINES = 30
LIMIT_S = 3600


class ChildFailed(Exception):
    """A child ended with an error; the message holds the end of what it wrote."""


@dataclass(frozen=True)
class Finished:
    """A child that ended well: the seconds from its start to its end, and what it printed."""

    seconds: float
    stdout: str

    @property
    def answer(self) -> Any:
        """What the last line says, as JSON."""
        return json.loads(self.stdout.splitlines()[-1])


Watch = Callable[[psutil.Process], contextlib.AbstractContextManager[object]]


def run(
    words: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    folder: Path,
    watch: Watch | None = None,
    limit_s: float = LIMIT_S,
) -> Finished:
    """Run a program to its end.

    Parameters
    ----------
    folder
        Where it runs, and where `stdout` and `stderr` are kept.
    watch
        Opened on the process while it runs.

    Raises
    ------
    ChildFailed
        When its exit code is not 0, or it is not done within `limit_s`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with started(words, env=env, folder=folder) as process:
        with watch(psutil.Process(process.pid)) if watch else contextlib.nullcontext(), contextlib.suppress(TimeoutExpired):
            process.wait(limit_s)
        seconds = time.monotonic() - began
        code = process.returncode
    stdout, stderr = (folder / "stdout").read_text(), (folder / "stderr").read_text()
    if code != 0:
        ended = f"was not done within {limit_s} s" if code is None else f"left with code {code}"
        last = "\n".join((stdout + stderr).splitlines()[-LAST_LINES:])
        raise ChildFailed(f"{Path(words[0]).name} {' '.join(map(str, words[1:4]))} ... {ended}:\n{last}")
    return Finished(seconds, stdout)


@contextmanager
def started(words: Sequence[str | Path], *, env: Mapping[str, str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Have a program running in the body, and nothing of it afterwards, even if this process is killed."""
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            ["/bin/sh", "-c", GUARDED, "sh", *map(str, words)],
            env=dict(env),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        left = []
        with contextlib.suppress(psutil.NoSuchProcess):
            left = psutil.Process(process.pid).children(recursive=True)  # some may have left the group
        process.communicate()  # closes the pipe, on which the guard kills the group
        for each in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
