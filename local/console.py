"""What the person at the terminal sees while things start and stop: on stderr, because stdout is for results."""

import contextlib

from rich.console import Console

_CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print one line; a terminal that is gone must not keep the services from being stopped."""
    with contextlib.suppress(OSError):
        _CONSOLE.print(text, markup=False)
