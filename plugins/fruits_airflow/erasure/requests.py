"""Requests to erase: written by the prediction service and `make erase`, processed by housekeeping."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fruits_airflow.bucket import Bucket
from fruits_contract import layout
from fruits_contract.contributions import ErasureRequest, InvalidContribution, check_id, is_keyed_hash, new_id

log = logging.getLogger(__name__)


class InvalidRequest(ValueError):
    """What is to be erased is not named as it must be."""


def write_request(bucket: Bucket, *, contribution: str = "", contributor: str = "", now: datetime) -> ErasureRequest:
    """Request the erasure of one contribution, or of all of a contributor; the task `erase_contributions` does it.

    A request for the same contribution that is not done yet stays as it is, with the time since which it has waited.

    Raises
    ------
    InvalidRequest
        Neither or both are given, or one is of the wrong form.
    """
    if bool(contribution) == bool(contributor):
        raise InvalidRequest("name either a contribution or a contributor")
    if contributor and not is_keyed_hash(contributor):
        raise InvalidRequest("expected the keyed hash of a contributor: hexadecimal digits, as in the table's column")
    try:
        name = check_id(contribution) if contribution else new_id(now)
    except InvalidContribution as error:
        raise InvalidRequest(str(error)) from error
    request = ErasureRequest(name, now.isoformat(timespec="seconds"), contribution, contributor)
    bucket.write_if_unchanged(layout.erasure_request(name), request.to_json(), etag="")
    return request


@dataclass(frozen=True)
class Pending:
    """The requests that are not done, and the number of objects beside them that are not valid requests."""

    requests: list[ErasureRequest] = field(default_factory=list)
    invalid: int = 0

    def older_than(self, age: timedelta, *, now: datetime) -> int:
        """Return the number of requests that have waited for longer."""
        return sum(now - datetime.fromisoformat(request.requested_at) > age for request in self.requests)


def pending_requests(bucket: Bucket) -> Pending:
    """Return the requests that are not done."""
    found = []
    invalid = 0
    for item in bucket.objects(layout.ERASURE_REQUESTS):
        try:
            request = ErasureRequest.from_json(bucket.read(item.key))
            if layout.erasure_request(request.request) != item.key:
                raise InvalidContribution("it is not named as its object")
            found.append(request)
        except FileNotFoundError:
            continue
        except InvalidContribution as error:
            log.error("An object below %s is not a valid erasure request: %s", layout.ERASURE_REQUESTS, error)
            invalid += 1
    return Pending(found, invalid)
