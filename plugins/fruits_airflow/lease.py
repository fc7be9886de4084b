"""The lease on the published tables: whoever changes them holds it, so that publish, rollback and maintenance take turns.

An object in the bucket, written under If-Match. Clocks of different machines are not compared: a holder renews the lease while it
lives, and a lease that one waiting process has seen unchanged for `EXPIRES_S` by its own clock is taken over.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from obstore.exceptions import BaseError as StorageError

from fruits_airflow.bucket import Bucket
from fruits_contract import layout

log = logging.getLogger(__name__)

EXPIRES_S = 120
RENEW_S = 20
POLL_S = 0.5
WAIT_LIMIT_S = 15 * 60


class TablesAreBusy(RuntimeError):
    """Another process has held the lease for longer than `WAIT_LIMIT_S`; nothing is done. Try again later."""


class LeaseLost(RuntimeError):
    """Another process has taken the lease over, because this one did not renew it; nothing more is committed."""


@dataclass
class Lease:
    """A lease that this process holds."""

    bucket: Bucket
    holder: str
    etag: str
    is_lost: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Renew the lease, and raise `LeaseLost` when another process has it; for use before each commit."""
        self.renew()
        if self.is_lost.is_set():
            raise LeaseLost(f"the lease of {self.holder} on the tables was taken over by another process; try again")

    def renew(self) -> None:
        """Show that this process lives."""
        with self.lock:
            etag = _write(self.bucket, self.holder, instead_of=self.etag)
            if etag:
                self.etag = etag
            else:
                self.is_lost.set()


@contextmanager
def lease_tables(bucket: Bucket, *, holder: str) -> Iterator[Lease]:
    """Hold the lease in the body; wait for it before.

    Parameters
    ----------
    holder
        Run or purpose, for the logs. The same holder takes its own lease over at once: it is a retry, whose first try is dead.

    Raises
    ------
    TablesAreBusy
        The lease was not free in `WAIT_LIMIT_S`.
    """
    lease = Lease(bucket, holder, _take(bucket, holder))
    is_done = threading.Event()

    def renew() -> None:
        while not is_done.wait(RENEW_S) and not lease.is_lost.is_set():
            try:
                lease.renew()
            except StorageError as error:  # the next time, or others take it over
                log.warning("The lease on the tables could not be renewed: %s", error)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        is_done.set()
        thread.join()
        if not lease.is_lost.is_set():
            _release(lease)


def _take(bucket: Bucket, holder: str) -> str:
    """Wait for the lease, take it, and return its ETag."""
    began = seen_at = time.monotonic()
    seen = ""
    while True:
        current, etag = _read(bucket)
        if etag != seen:
            seen, seen_at = etag, time.monotonic()
        is_expired = time.monotonic() - seen_at > EXPIRES_S
        taken = _write(bucket, holder, instead_of=etag) if is_expired or current in ("", holder) else ""
        if taken:
            if current:
                log.info("The lease of %s on the tables is taken over", current)
            return taken
        if time.monotonic() - began > WAIT_LIMIT_S:
            raise TablesAreBusy(
                f"the lease on the tables was not free within {WAIT_LIMIT_S} s, last held by {current}; try again"
            )
        time.sleep(POLL_S)


def _release(lease: Lease) -> None:
    try:
        _write(lease.bucket, "", instead_of=lease.etag)
    except StorageError as error:  # it expires
        log.warning("The lease on the tables could not be released: %s", error)


def _read(bucket: Bucket) -> tuple[str, str]:
    """Return holder and ETag; '' where nobody has ever held it."""
    try:
        content, etag = bucket.read_with_etag(layout.tables_lease())
    except FileNotFoundError:
        return "", ""
    return str(json.loads(content)["holder"]), etag


def _write(bucket: Bucket, holder: str, *, instead_of: str) -> str:
    """Write the lease unless it has changed, and return its new ETag; '' where it has."""
    content = json.dumps({"holder": holder, "token": uuid.uuid4().hex}).encode()  # an ETag of its own for each renewal
    return bucket.replace(layout.tables_lease(), content, etag=instead_of)
