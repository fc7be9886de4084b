"""Contributed photos that wait for review: which there are, and whether one may still be used."""

import logging
from collections.abc import Iterator

from fruits_airflow.bucket import Bucket
from fruits_contract import layout
from fruits_contract.contributions import Contribution, ErasureRequest, InvalidContribution, check_id

log = logging.getLogger(__name__)


def queued(bucket: Bucket) -> list[str]:
    """Return the ids of the photos in the queue, by the day on which they were received, the oldest first."""
    return _ids_below(bucket, layout.CONTRIBUTED_PHOTOS, ".jpg")


def claimed(bucket: Bucket) -> list[str]:
    """Return the ids of the photos that a reviewer has, or that a decision has left unfinished."""
    return _ids_below(bucket, layout.CONTRIBUTION_CLAIMS, ".json")


def _ids_below(bucket: Bucket, prefix: str, suffix: str) -> list[str]:
    ids = []
    for item in bucket.objects(prefix):
        try:
            ids.append(check_id(item.key.removeprefix(prefix).removesuffix(suffix)))
        except InvalidContribution:
            log.warning("An object below %s is not named like a contribution; ignored", prefix)
    return sorted(ids)


def read_record(bucket: Bucket, contribution: str) -> tuple[Contribution, str] | None:
    """Return the record of a contribution and its ETag; None where there is none, or one that cannot be read.

    Without a record nothing says that somebody has agreed: the photo may not be used.
    """
    try:
        content, etag = bucket.read_with_etag(layout.contribution_record(check_id(contribution)))
    except FileNotFoundError:
        return None
    try:
        record = Contribution.from_json(content)
        if record.contribution != contribution or not record.contributor:
            raise InvalidContribution("the record is another contribution's, or names no contributor")
    except InvalidContribution as error:
        log.warning("The record of a contributed photo cannot be read, so the photo is left out: %s", error)
        return None
    return record, etag


class ErasureRequests:
    """The requests to erase, as they were when they were read."""

    def __init__(self, bucket: Bucket) -> None:
        requests = list(_erasure_requests(bucket))
        self._contributions = {request.contribution for request in requests if request.contribution}
        self._contributors = {request.contributor for request in requests if request.contributor}

    def include(self, record: Contribution) -> bool:
        """Return whether one asks to erase this contribution, or all of its contributor's."""
        return record.contribution in self._contributions or record.contributor in self._contributors


def _erasure_requests(bucket: Bucket) -> Iterator[ErasureRequest]:
    for item in bucket.objects(layout.ERASURE_REQUESTS):
        try:
            yield ErasureRequest.from_json(bucket.read(item.key))
        except FileNotFoundError:
            continue  # done meanwhile
        except InvalidContribution as error:
            log.warning("A request to erase cannot be read: %s", error)
