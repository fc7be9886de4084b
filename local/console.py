"""What a person at a terminal sees: progress on stderr, results on stdout."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 4.0
_STDERR = Console(stderr=True, highlight=False, soft_wrap=True)

Update = Callable[[int, int], None]


def say(text: str) -> None:
    """Print one line to stderr; without a terminal to print to, the program goes on and can still stop the services."""
    with contextlib.suppress(OSError):
        _STDERR.print(text, markup=False)


def open_console() -> Console:
    """Return the console for results; a pipe gets whole lines."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 400)


@contextlib.contextmanager
def working(what: str) -> Iterator[Update]:
    """Show on stderr that the body is at work: on a terminal in place, elsewhere by a line every few seconds.

    Yields a function that receives how much is done, and of how much.
    """
    with _in_place(what) if _STDERR.is_terminal else _in_lines(what) as update:
        yield update


@contextlib.contextmanager
def _in_place(what: str) -> Iterator[Update]:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    counting = (BarColumn(), MofNCompleteColumn())
    # Lines that the body prints go above; those of a stdout that is no terminal must not be diverted.
    with Progress(*columns, console=_STDERR, transient=True, redirect_stdout=sys.stdout.isatty()) as progress:
        task = progress.add_task(what, total=None)

        def update(done: int, total: int) -> None:
            progress.columns = (*columns, *counting)
            progress.update(task, completed=done, total=total)

        yield update


@contextlib.contextmanager
def _in_lines(what: str) -> Iterator[Update]:
    counted = ""
    began = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal counted
        counted = f": {done:,} of {total:,}"

    with calling(lambda: say(f"{what}{counted}, {time.monotonic() - began:.0f} s"), every_s=LINE_EVERY_S):
        yield update


@contextlib.contextmanager
def calling(action: Callable[[], None], *, every_s: float) -> Iterator[None]:
    """Call `action` in a thread every few seconds while the body runs."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.wait(every_s):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
