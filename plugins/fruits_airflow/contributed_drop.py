"""Completes daily drops that have contributed photos only: no uploader comes that would put their `_READY`."""

import logging
from datetime import datetime, timedelta

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.features_pipeline import daily_run_of

log = logging.getLogger(__name__)

# An uploader has all of the run's waiting time but this; housekeeping looks every hour.
LEFT_TO_WAIT = timedelta(hours=1)


def complete_contributed_drops(bucket: Bucket, settings: Settings, *, now: datetime) -> list[str]:
    """Put `_READY` into each daily drop whose run waits for less than an hour more, if all of its photos were contributed.

    Returns
    -------
    list of str
        The drops that were completed.
    """
    waiting_time = timedelta(seconds=settings.wait_for_drop_s)
    completed = []
    for drop in bucket.folders(layout.RAW):
        try:
            begins = daily_run_of(drop)
        except ValueError:
            continue  # named by somebody, who also puts its _READY
        if now < begins + waiting_time - LEFT_TO_WAIT or not _has_only_contributed_photos(bucket, drop):
            continue
        bucket.write(layout.ready(drop), b"")
        completed.append(drop)
        log.info("Drop %s has contributed photos only, and is complete now", drop)
        if now >= begins + waiting_time:
            log.warning("The daily run of drop %s has stopped waiting: trigger fruits_features with drop=%s", drop, drop)
    return completed


def _has_only_contributed_photos(bucket: Bucket, drop: str) -> bool:
    """Return whether a drop has photos, all of them contributed, and no `_READY`."""
    has_photos = False
    for item in bucket.objects(layout.raw_prefix(drop)):
        if not layout.contribution_of(item.key):
            return False
        has_photos = True
    return has_photos
