"""Ctrl-C, a closed terminal and `kill`: each ends the work once, and none interrupts the clean-up."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_CODE = 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGHUP:  # the terminal is gone: writing to it would raise
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
    raise KeyboardInterrupt


@contextmanager
def raised_once() -> Iterator[None]:
    """Raise the first of the signals as KeyboardInterrupt in the body; ignore all that follow, for good.

    A signal that was ignored from outside (nohup) stays ignored. Can be nested.
    """
    before = {each: signal.getsignal(each) for each in SIGNALS}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, _interrupt)
    try:
        yield
    finally:
        for each, handler in before.items():
            if signal.getsignal(each) is _interrupt:
                signal.signal(each, handler)


@contextmanager
def ignored() -> Iterator[None]:
    """Ignore the signals in the body."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
