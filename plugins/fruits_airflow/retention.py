"""Deletes what may hold personal data when its time is over, and reports what was kept for too long."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from airflow.providers.common.compat.sdk import AirflowFailException

from fruits_airflow.bucket import Bucket, ObjectVersion
from fruits_airflow.commits import open_table
from fruits_contract import layout
from fruits_contract.contributions import ACCEPTED, Contribution, InvalidContribution, received_on

log = logging.getLogger(__name__)

KEPT = timedelta(days=11)  # as RawDays of infra/storage.yaml
LIMIT = timedelta(days=15)  # promised to everybody who may be on a photo
UPLOADS_KEPT = timedelta(days=1)
CHECK_EVERY = timedelta(hours=20)  # a listing of every photo costs money; a day older, an object is still within its limit
PREFIXES = (layout.RAW, layout.CONTRIBUTED_PHOTOS, layout.CONTRIBUTION_CLAIMS)
RECORDS = layout.CONTRIBUTION_RECORDS  # of photos without features; those of photos with features stay as long as they
UPLOADS = "incomplete uploads"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What one prefix holds.

    Parameters
    ----------
    objects
        Versions that stay, hidden ones and markers of deletions included.
    oldest_at
        Beginning of the oldest one's age: ISO 8601, UTC; '' for none.
    deleted
        Versions that were deleted, because their time was over.
    overdue
        Those of them that had been kept for the promised time or longer.
    """

    prefix: str
    objects: int = 0
    oldest_at: str = ""
    deleted: int = 0
    overdue: int = 0


@dataclass(frozen=True, kw_only=True)
class RetentionCheck:
    """One check of everything that retention is about; `layout.RETENTION` is the last one."""

    checked_at: str
    holdings: list[Holding] = field(default_factory=list)

    @property
    def overdue(self) -> list[Holding]:
        """The prefixes with objects that were kept for too long."""
        return [holding for holding in self.holdings if holding.overdue]

    def to_json(self) -> bytes:
        """Return the object's content."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "RetentionCheck":
        """Read `to_json` back."""
        data = json.loads(content)
        return cls(checked_at=data["checked_at"], holdings=[Holding(**holding) for holding in data["holdings"]])


def enforce_retention(bucket: Bucket, *, now: datetime) -> RetentionCheck:
    """Delete what is past its time, once a day, and record the check at `layout.RETENTION`.

    S3's lifecycle does the same where infra/storage.yaml is applied. It counts the days of an object, though: a contributed photo
    that waited for its review for a week would start again in `raw/`. Here it counts from the day of its receipt.

    Returns
    -------
    RetentionCheck
        The new one, or the last one where that is clean and recent enough.

    Raises
    ------
    AirflowFailException
        Something had been kept for `LIMIT` or longer. It is deleted now, but nobody had checked, or deleting had failed.
    """
    last = read_last_check(bucket)
    if last and not last.overdue and now - datetime.fromisoformat(last.checked_at) < CHECK_EVERY:
        log.info("The last check at %s was clean; the next one is due %s later", last.checked_at, CHECK_EVERY)
        return last
    holdings = [_enforce(bucket, prefix, now=now) for prefix in PREFIXES]
    holdings.append(_enforce(bucket, RECORDS, now=now, stays=partial(_has_rows, bucket, _contributions_with_rows(bucket))))
    holdings.append(_enforce_uploads(bucket, now=now))
    check = RetentionCheck(checked_at=now.isoformat(timespec="seconds"), holdings=holdings)
    bucket.write(layout.RETENTION, check.to_json())
    for holding in holdings:
        log.info("%s: %s kept, %s deleted, %s overdue", holding.prefix, holding.objects, holding.deleted, holding.overdue)
    if check.overdue:
        lines = ", ".join(f"{holding.overdue} of {holding.prefix}" for holding in check.overdue)
        raise AirflowFailException(
            f"Kept for {LIMIT.days} days or longer, and deleted now: {lines}. Find out why (docs/runbook.md)"
        )
    return check


def read_last_check(bucket: Bucket) -> RetentionCheck | None:
    """Return the last check; None before the first one."""
    try:
        return RetentionCheck.from_json(bucket.read(layout.RETENTION))
    except FileNotFoundError:
        return None


def began_at(version: ObjectVersion) -> datetime:
    """Return when the age of an object begins: for a contributed photo the day of its receipt, wherever it lies."""
    contribution = layout.contribution_of(version.key)
    if version.key.startswith(layout.CONTRIBUTIONS):
        contribution = version.key.rpartition("/")[2].partition(".")[0]
    try:
        return min(received_on(contribution), version.modified)
    except (InvalidContribution, ValueError):  # no contribution, or one of no day
        return version.modified


def _enforce(bucket: Bucket, prefix: str, *, now: datetime, stays: Callable[[ObjectVersion], bool] | None = None) -> Holding:
    """Delete the old versions below a prefix, apart from those that stay for another reason."""
    survey = _Survey(now)
    old = []
    for version in bucket.versions(prefix):
        if survey.is_old(began_at(version), kept=KEPT):
            if stays and stays(version):
                survey.count(began_at(version))
            else:
                old.append(version)
    # A marker has no bytes: it breaks no promise.
    overdue = [version for version in old if not version.is_marker and now - began_at(version) >= LIMIT]
    return survey.holding(prefix, deleted=bucket.delete_versions(old), overdue=len(overdue))


def _has_rows(bucket: Bucket, with_rows: set[str], version: ObjectVersion) -> bool:
    """Return whether a record is that of an accepted photo with a row, and stays as long as that."""
    if version.is_marker or not version.is_current:
        return False
    try:
        record = Contribution.from_json(bucket.read(version.key))
    except (FileNotFoundError, InvalidContribution):
        return False
    return record.state == ACCEPTED and record.contribution in with_rows


def _contributions_with_rows(bucket: Bucket) -> set[str]:
    """Return the contributions that have features, or were rejected as unreadable."""
    found: set[str] = set()
    for key in (layout.FEATURES_TABLE, layout.REJECTS_TABLE):
        table = open_table(bucket, key)
        if table is not None:
            rows = table.to_pyarrow_table(columns=["path"], filters=[("contributor", "!=", "")])
            found |= {layout.contribution_of(path) for path in rows["path"].to_pylist()}
    return found


def _enforce_uploads(bucket: Bucket, *, now: datetime) -> Holding:
    survey = _Survey(now)
    old = [upload for upload in bucket.incomplete_uploads() if survey.is_old(upload.initiated, kept=UPLOADS_KEPT)]
    for upload in old:
        bucket.abort_upload(upload)
    overdue = [upload for upload in old if now - upload.initiated >= LIMIT]
    return survey.holding(UPLOADS, deleted=len(old), overdue=len(overdue))


@dataclass
class _Survey:
    """Counts what a check finds young enough, and remembers the oldest of it."""

    now: datetime
    objects: int = 0
    oldest: datetime | None = None

    def is_old(self, at: datetime, *, kept: timedelta) -> bool:
        """Return whether an age that began at `at` has reached its end."""
        if self.now - at >= kept:
            return True
        self.count(at)
        return False

    def count(self, at: datetime) -> None:
        """Count an object that stays."""
        self.objects += 1
        self.oldest = min(self.oldest or at, at)

    def holding(self, prefix: str, *, deleted: int, overdue: int) -> Holding:
        """Return the result of the check."""
        oldest_at = self.oldest.astimezone(UTC).isoformat(timespec="seconds") if self.oldest else ""
        return Holding(prefix=prefix, objects=self.objects, oldest_at=oldest_at, deleted=deleted, overdue=overdue)
