"""Contributed photos of a drop: whose they are, by their records; and none that nobody agrees to any more.

Neither a contributor nor a key of a contributed photo is in any message of this module.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fruits_airflow.bucket import Bucket
from fruits_airflow.contributions import read_record
from fruits_contract import layout
from fruits_contract.contributions import ACCEPTED

log = logging.getLogger(__name__)

READERS = 16


def with_contributors(bucket: Bucket, photos: list[dict[str, Any]], *, drop: str) -> list[dict[str, Any]]:
    """Return the photos of a drop, rows of `columns.BATCH`, with the contributors of those that were contributed.

    A contributed photo is left out when its record is missing, because it was erased, or does not say that the photo was
    accepted at this place.

    Raises
    ------
    OSError
        A record could not be read; it may be there.
    """
    contributed = [photo["path"] for photo in photos if layout.contribution_of(photo["path"])]
    with ThreadPoolExecutor(READERS) as readers:
        contributors = dict(zip(contributed, readers.map(lambda path: _contributor(bucket, path), contributed), strict=True))
    left_out = sum(not contributor for contributor in contributors.values())
    if left_out:
        log.warning("Drop %s: %s contributed photos are left out: no record says that they were accepted", drop, left_out)
    return [
        {**photo, "contributor": contributors.get(photo["path"], "")} for photo in photos if contributors.get(photo["path"]) != ""
    ]


def _contributor(bucket: Bucket, path: str) -> str:
    """Return the contributor of an accepted photo, '' where its record does not say so."""
    contribution = layout.contribution_of(path)
    try:
        found = read_record(bucket, contribution)
    except Exception as error:
        # The error of an S3 client names the key.
        raise OSError(f"the record of a contributed photo could not be read: {type(error).__name__}") from None
    if found is None or found[0].state != ACCEPTED:
        return ""
    record = found[0]
    return record.contributor if path == layout.contributed_image(record.drop, record.label, contribution) else ""
