"""Counts what running Spark tasks have done: each task writes its count to an object of its own, and the driver adds them up.

Spark delivers an accumulator of Python when its task ends, which in a large batch is after minutes.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from fruits.repeating import repeating
from fruits.storage import Storage

# A million photos take 5,000 s of tasks: 1,700 PUTs, less than 0.01 USD.
EVERY_S = 3.0

T = TypeVar("T")


@contextmanager
def count_items(items: Iterable[T], *, storage: Storage, key: str) -> Iterator[Iterator[T]]:
    """Give `items` to the body, and write to `key` how many of them it is done with: every few seconds and at the end.

    An item is done when the body asks for the next one.
    """
    done = 0

    def counted() -> Iterator[T]:
        nonlocal done
        for item in items:
            yield item
            done += 1

    with repeating(lambda: storage.write(key, str(done)), every_s=EVERY_S):
        yield counted()


class TaskCounts:
    """The counts of all tasks of a job, as its driver reads them.

    Parameters
    ----------
    folder
        The folder that holds one object per task, ending with '/'.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage = storage
        self._folder = folder
        self._etags: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def total(self) -> int:
        """Return the sum; of objects that have not changed it knows the count already."""
        for key, etag in self._storage.etags(self._folder).items():
            if etag != self._etags.get(key):
                self._etags[key] = etag
                count = int(self._storage.read(key))
                # A repeated or speculative attempt starts again at 0; what another one has done is not undone.
                self._counts[key] = max(count, self._counts.get(key, 0))
        return sum(self._counts.values())
