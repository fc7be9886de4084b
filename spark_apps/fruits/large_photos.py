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
        When the lock file cannot be opened, which is the machine's fault and not the photo's.
    """
    path = Path(tempfile.gettempdir()) / f"fruits-large-photo-{os.getuid()}.lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise TurnUnavailable(f"the lock of large photos cannot be opened: {error}; TMPDIR must be writable") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
