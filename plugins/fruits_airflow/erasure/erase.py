"""Processes the requests to erase contributions."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.certificate import Erasure, write_certificate
from fruits_airflow.erasure.photos import erase_photos
from fruits_airflow.erasure.requests import pending_requests
from fruits_airflow.erasure.run_outputs import erase_from_outputs, outputs_with_names
from fruits_airflow.erasure.subjects import Subject, Subjects, find_subjects
from fruits_airflow.erasure.table_rows import erase_rows, files_with_rows
from fruits_airflow.erasure.trained_models import models_trained_with
from fruits_contract import columns, layout
from fruits_contract.contributions import ErasureRequest

log = logging.getLogger(__name__)

# As long as a DAG run may take, and some time for the next one: a run that is queued in a paused DAG would block for ever.
WAIT_LIMIT = timedelta(days=4)


class NotErased(RuntimeError):
    """Something was found after the erasure; the requests stay, and the next hour tries again."""


@dataclass(frozen=True)
class Outcome:
    """What became of the requests.

    Parameters
    ----------
    done, waiting
        Number of requests that are done, and that wait for a run under way.
    late
        Those that have waited for longer than `WAIT_LIMIT`.
    invalid
        Number of invalid request objects, for an operator to inspect.
    needs_training
        Whether rows were removed that models are trained with.
    """

    done: int = 0
    waiting: int = 0
    late: int = 0
    invalid: int = 0
    needs_training: bool = False


def erase_contributions(bucket: Bucket, *, is_run_under_way: Callable[[], bool]) -> Outcome:
    """Process all requests; what fails or is killed halfway is completed by another call, and twice is harmless.

    Photos, records and claims are deleted at once. The rest waits while a run is under way, because a run that was planned before
    may write the photo's row again: the requests stay until a call that sees no such run before and after its work.

    Raises
    ------
    NotErased
        Something is left.
    TablesAreBusy
        A publication took too long.
    """
    pending = pending_requests(bucket)
    late = pending.older_than(WAIT_LIMIT, now=datetime.now(UTC))
    if late:
        log.warning(
            "Requests that have waited for more than %s days: %s. A run was queued or running each time, or this task failed or "
            "was killed before it was done",
            WAIT_LIMIT.days,
            late,
        )
    outcome = _process(bucket, pending.requests, is_run_under_way=is_run_under_way) if pending.requests else Outcome()
    return replace(outcome, invalid=pending.invalid, late=late if outcome.waiting else 0)


def _process(bucket: Bucket, requests: list[ErasureRequest], *, is_run_under_way: Callable[[], bool]) -> Outcome:
    log.info("%s requests to erase contributions", len(requests))
    subjects = find_subjects(bucket, requests, now=datetime.now(UTC))
    erase_photos(bucket, subjects)
    if is_run_under_way():
        return _waiting(subjects)
    erase_rows(bucket, subjects)
    erase_from_outputs(bucket, subjects)
    _check(bucket, subjects)
    if is_run_under_way():  # planned meanwhile
        return _waiting(subjects)
    removed = [_finish(bucket, subject) for subject in subjects]
    return Outcome(done=len(subjects), needs_training=any(f"rows of {layout.FEATURES_TABLE}" in places for places in removed))


def _waiting(subjects: Subjects) -> Outcome:
    log.info("Photos and records are erased; the rest waits until the run is over")
    return Outcome(waiting=len(subjects))


def _check(bucket: Bucket, subjects: Subjects) -> None:
    """Look for the contributions everywhere; logs and errors name no key, because a key may name a contribution."""
    names = subjects.names
    # Requests and certificates are named after contributions, which point to nothing any more.
    keys = sum(
        not version.key.startswith(layout.ERASURES) and any(name in version.key for name in names)
        for version in bucket.versions("")
    )
    files = sum(1 for key in columns.TABLES for _ in files_with_rows(bucket, key, subjects))
    outputs = sum(1 for _ in outputs_with_names(bucket, subjects))
    if keys or files or outputs:
        raise NotErased(
            f"after the erasure there are still {keys} objects, {files} files of tables and {outputs} outputs with "
            "contributions; the requests stay, and the next hour tries again"
        )


def _finish(bucket: Bucket, subject: Subject) -> dict[str, int]:
    """Certify the erasure, delete the request, and return the numbers of what was removed."""
    request = subject.request.request
    models = models_trained_with(bucket, subject.drops, since=subject.since)
    erasure = Erasure.of(subject, models=models, finished_at=datetime.now(UTC).isoformat(timespec="seconds"))
    certified = write_certificate(bucket, request, erasure)
    bucket.erase(layout.erasure_progress(request))
    bucket.erase(layout.erasure_request(request))  # last: until then, the next call does all of it again
    log.info("Done; the certificate is below %s", bucket.uri(layout.ERASURE_CERTIFICATES))  # its name may be a contribution's
    removed: dict[str, int] = certified["removed"]
    return removed
