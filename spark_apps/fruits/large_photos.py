"""One large photo at a time per machine.

Decoding 100 megapixels takes 0.4 to 1.6 GB, and the memory of a node holds that once beside its workers, not once per worker.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fruits.errors import TurnUnavailable


@contextlib.contextmanager
def turn_of_large_photo() -> Iterator[None]:
    """Wait until no other thread or process of this user decodes a large photo; the system frees the turn of one that dies.

    Raises
    ------
    TurnUnavailable
        When the lock cannot be taken, which is the machine's fault and not the photo's.
    """
    with contextlib.ExitStack() as until_the_end:
        try:
            path = Path(tempfile.gettempdir()) / f"fruits-large-photo-{os.getuid()}.lock"
            file = until_the_end.enter_context(path.open("a"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise TurnUnavailable(f"the lock of large photos cannot be taken: {error}; TMPDIR must be writable") from error
        yield
