"""Repeats an action in a thread while something else runs."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError as StorageError


@contextmanager
def repeating(action: Callable[[], None], *, every_s: float) -> Iterator[None]:
    """Call `action` at once, every few seconds while the body runs, and once more when it has succeeded.

    An error of the storage is printed and affects nothing else.
    """
    is_over = threading.Event()

    def attempt() -> None:
        try:
            action()
        except StorageError as error:
            print(f"progress is not reported: {error}", file=sys.stderr, flush=True)

    def repeat() -> None:
        attempt()
        while not is_over.wait(every_s):
            attempt()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    attempt()
