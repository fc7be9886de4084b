"""What a person at a terminal sees: progress on stderr, results on stdout."""

import contextlib
import sys

from rich.console import Console

_STDERR = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print one line to stderr; without a terminal to print to, the program goes on and can still stop the services."""
    with contextlib.suppress(OSError):
        _STDERR.print(text, markup=False)


def open_console() -> Console:
    """Return the console for results; a pipe gets whole lines."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 400)
