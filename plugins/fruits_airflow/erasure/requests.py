"""Requests to erase: written by the prediction service and `make erase`, worked off by housekeeping."""

import logging
import re
from datetime import datetime

from fruits_airflow.bucket import Bucket
from fruits_contract import layout
from fruits_contract.contributions import ErasureRequest, InvalidContribution, check_id, new_id

log = logging.getLogger(__name__)

_HASH = re.compile(r"[0-9a-f]{32,128}")


class InvalidRequest(ValueError):
    """What is to be erased is not named as it must be."""


def write_request(bucket: Bucket, *, contribution: str = "", contributor: str = "", now: datetime) -> ErasureRequest:
    """Request the erasure of one contribution, or of all of a contributor; the task `erase_contributions` does it.

    Raises
    ------
    InvalidRequest
        Neither or both are given, or one is of the wrong form.
    """
    if bool(contribution) == bool(contributor):
        raise InvalidRequest("name either a contribution or a contributor")
    if contributor and not _HASH.fullmatch(contributor):
        raise InvalidRequest("expected the keyed hash of a contributor: hexadecimal digits, as in the table's column")
    try:
        name = check_id(contribution) if contribution else new_id(now)
    except InvalidContribution as error:
        raise InvalidRequest(str(error)) from error
    request = ErasureRequest(name, now.isoformat(timespec="seconds"), contribution, contributor)
    bucket.write(layout.erasure_request(name), request.to_json())
    return request


def pending_requests(bucket: Bucket) -> list[ErasureRequest]:
    """Return the requests that are not done; an object that is none of them is reported in the log and left."""
    found = []
    for item in bucket.objects(layout.ERASURE_REQUESTS):
        try:
            request = ErasureRequest.from_json(bucket.read(item.key))
            check_id(request.request)
            if request.contribution:
                check_id(request.contribution)
        except FileNotFoundError:
            continue
        except InvalidContribution as error:
            log.error("An object below %s cannot be understood, and is left: %s", layout.ERASURE_REQUESTS, error)
            continue
        if layout.erasure_request(request.request) != item.key:
            log.error("A request below %s is not named as its object, and is left", layout.ERASURE_REQUESTS)
            continue
        found.append(request)
    return found
