"""A program in the foreground is gone when it was interrupted, and its exit code is returned when it ended by itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from local import REPO, foreground
from local.interrupts import EXIT_CODE
from local.waiting import wait_until

# As the command line does: the first signal is raised, those that follow are ignored.
OUTER = """
import sys
from local import foreground, interrupts
try:
    with interrupts.raised_once():
        foreground.run(sys.argv[1:], env={})
except KeyboardInterrupt:
    sys.exit(interrupts.EXIT_CODE)
"""
# Writes its id once it is there.
INNER = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(600)
"""


def restore_interrupt() -> None:
    """Undo what nohup and background jobs pass on to their children: an ignored signal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_exit_code_is_returned() -> None:
    assert foreground.run([sys.executable, "-c", "import sys; sys.exit(3)"], env={}) == 3


def test_it_is_terminated_when_the_command_is_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "id"
    argv = [sys.executable, "-c", OUTER, sys.executable, "-c", INNER, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    outer = subprocess.Popen(argv, cwd=REPO, env=environment, preexec_fn=restore_interrupt)
    try:
        assert wait_until(lambda: file.exists() and file.read_text() != "", timeout_s=60, every_s=0.1)
        outer.send_signal(signal.SIGINT)
        assert outer.wait(60) == EXIT_CODE
    finally:
        outer.kill()
    assert not psutil.pid_exists(int(file.read_text()))
