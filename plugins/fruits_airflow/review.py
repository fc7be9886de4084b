"""The review of contributed photos: the next one for a reviewer, and what becomes of it.

Every decision begins with a conditional write of the record, so one of two decisions wins, and can be repeated from any step on.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fruits_airflow.bucket import Bucket
from fruits_airflow.claims import check_claim, claim, give_back
from fruits_airflow.contributions import ErasureRequests, claimed, queued, read_record
from fruits_airflow.retention import KEPT
from fruits_airflow.variety_names import UnknownVariety, check_variety, known_varieties
from fruits_contract import layout
from fruits_contract.contributions import ACCEPTED, REJECTED, WAITING, Contribution, received_on
from fruits_contract.features_pipeline import next_daily_drop

# A photo that is accepted this shortly before the daily run belongs to the drop of the day after: the run may be listing its own.
MARGIN = timedelta(minutes=2)
TIME_FOR_A_RUN = timedelta(days=2)  # to the next daily drop, and through its run


class Gone(Exception):
    """The contribution no longer exists: it was rejected, erased, or its erasure is requested."""


class AlreadyDecided(Exception):
    """Another decision about the photo was made first; this one has changed nothing."""


@dataclass(frozen=True)
class Claimed:
    """A photo that waits, and the token of its reviewer's claim."""

    record: Contribution
    token: str


def claim_next(bucket: Bucket, *, skipped: Collection[str] = (), now: datetime | None = None) -> Claimed | None:
    """Claim the oldest photo that waits and that no other reviewer has, other than those `skipped`; None where there is none.

    Completes decisions that were interrupted.
    """
    now = now or datetime.now(UTC)
    _complete_decisions(bucket)
    requests = ErasureRequests(bucket)
    for contribution in queued(bucket):
        if contribution in skipped or _is_too_late(contribution, now=now) or not _waiting(bucket, contribution, requests):
            continue
        if token := claim(bucket, contribution, now=now):
            # Somebody may have decided between reading the record and claiming the photo.
            if record := _waiting(bucket, contribution, requests):
                return Claimed(record, token)
            bucket.erase(layout.contribution_claim(contribution))
    return None


def _is_too_late(contribution: str, *, now: datetime) -> bool:
    """Return whether retention would delete the photo before the run of the next daily drop has featurized it."""
    return now - received_on(contribution) > KEPT - TIME_FOR_A_RUN


def _waiting(bucket: Bucket, contribution: str, requests: ErasureRequests) -> Contribution | None:
    """Return the record of a photo that may be reviewed, None for any other one."""
    found = read_record(bucket, contribution)
    if found is None or found[0].state != WAITING or requests.include(found[0]):
        return None
    return found[0]


def _complete_decisions(bucket: Bucket) -> None:
    """Complete the decisions whose record is written; a claim is erased last, so each of them still has one."""
    for contribution in claimed(bucket):
        found = read_record(bucket, contribution)
        if found is None:
            bucket.erase(layout.contribution_claim(contribution))
        elif found[0].state == ACCEPTED:
            _leave_queue(bucket, contribution)
        elif found[0].state == REJECTED:
            _erase(bucket, found[0])


def photo_for_review(bucket: Bucket, contribution: str, token: str) -> bytes:
    """Return the photo to the reviewer who has claimed it.

    Raises
    ------
    ClaimLost, FileNotFoundError
    """
    check_claim(bucket, contribution, token)
    return bucket.read(layout.contribution_photo(contribution))


def skip(bucket: Bucket, contribution: str, token: str) -> None:
    """Leave the photo to another reviewer."""
    give_back(bucket, contribution, token)


def accept(
    bucket: Bucket, contribution: str, token: str, *, label: str, is_new: bool = False, now: datetime | None = None
) -> str:
    """Put the photo into the next daily drop as one of variety `label`, and return the name of the drop.

    The record names the photo's place before the photo is there, so that a decision that was not completed can be taken back.

    Parameters
    ----------
    is_new
        Whether the reviewer has confirmed that the variety may be one that no published photo has.

    Raises
    ------
    InvalidVariety, UnknownVariety
        The label cannot be used, or not without a confirmation.
    ClaimLost, AlreadyDecided, Gone
        Nothing was changed.
    """
    check_variety(label)
    record, etag = _existing(bucket, contribution)
    if record.state == ACCEPTED and record.label == label:
        _leave_queue(bucket, contribution)
        return record.drop
    _check_decidable(bucket, record, token)
    if not is_new and label not in dict(record.guess.varieties) and label not in known_varieties(bucket):
        raise UnknownVariety(f"no published photo is a {label!r}")

    drop = next_daily_drop((now or datetime.now(UTC)) + MARGIN)
    if record.drop and (record.drop, record.label) != (drop, label):
        _erase_from_drop(bucket, record)
    planned = replace(record, label=label, drop=drop)
    etag = _write_record(bucket, planned, etag=etag)
    try:
        photo = bucket.read(layout.contribution_photo(contribution))
    except FileNotFoundError:
        raise Gone("the photo no longer exists in the queue") from None
    bucket.write(layout.contributed_image(drop, label, contribution), photo)
    try:
        _write_record(bucket, replace(planned, state=ACCEPTED), etag=etag)
    except AlreadyDecided:
        if not _is_accepted_as(bucket, planned):
            raise
    _leave_queue(bucket, contribution)
    return drop


def reject(bucket: Bucket, contribution: str, token: str) -> None:
    """Delete photo, record and claim, in all versions.

    Raises
    ------
    ClaimLost, AlreadyDecided
        Nothing was changed.
    """
    found = read_record(bucket, contribution)
    if found is None:
        bucket.erase(layout.contribution_claim(contribution))  # what a rejection erases last
        return
    record, etag = found
    if record.state != REJECTED:
        _check_decidable(bucket, record, token)
        _write_record(bucket, replace(record, state=REJECTED), etag=etag)
    _erase(bucket, record)


def _existing(bucket: Bucket, contribution: str) -> tuple[Contribution, str]:
    found = read_record(bucket, contribution)
    if found is None or found[0].state == REJECTED or ErasureRequests(bucket).include(found[0]):
        raise Gone("the photo no longer exists")
    return found


def _check_decidable(bucket: Bucket, record: Contribution, token: str) -> None:
    if record.state != WAITING:
        raise AlreadyDecided("another reviewer has decided already")
    check_claim(bucket, record.contribution, token)


def _write_record(bucket: Bucket, record: Contribution, *, etag: str) -> str:
    """Write the record unless somebody else has, and return its new ETag; raise `AlreadyDecided` otherwise."""
    written = bucket.replace(layout.contribution_record(record.contribution), record.to_json(), etag=etag)
    if not written:
        raise AlreadyDecided("another reviewer was faster")
    return written


def _is_accepted_as(bucket: Bucket, planned: Contribution) -> bool:
    """Return whether another decision was the same; erase the photo from the drop unless that decision has put it there too."""
    found = read_record(bucket, planned.contribution)
    if found is None or found[0].state == REJECTED or (found[0].drop, found[0].label) != (planned.drop, planned.label):
        _erase_from_drop(bucket, planned)
        return False
    return found[0].state == ACCEPTED


def _erase(bucket: Bucket, record: Contribution) -> None:
    """Erase the photo first: its record alone shows nobody's fruit."""
    if record.drop:
        _erase_from_drop(bucket, record)
    bucket.erase(layout.contribution_photo(record.contribution))
    bucket.erase(layout.contribution_record(record.contribution))
    bucket.erase(layout.contribution_claim(record.contribution))


def _erase_from_drop(bucket: Bucket, record: Contribution) -> None:
    bucket.erase(layout.contributed_image(record.drop, record.label, record.contribution))


def _leave_queue(bucket: Bucket, contribution: str) -> None:
    bucket.erase(layout.contribution_photo(contribution))
    bucket.erase(layout.contribution_claim(contribution))
