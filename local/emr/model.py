"""The terms of the API that the other modules share: errors, ids, times, pages and steps."""

import secrets
import string
import time
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]
PAGE_SIZE = 50
DEFAULT_ACTION = "CONTINUE"  # of a failed step; the API names no default, the AWS CLI sends this one
ID_CHARACTERS = string.ascii_uppercase + string.digits


@dataclass(eq=False)
class ApiError(Exception):
    """A refused request. Only EMR's InvalidRequestException has an `error_code`; AWS does not publish the list of them."""

    message: str
    code: str = "ValidationException"
    error_code: str = ""

    def to_api(self) -> JsonObject:
        if self.error_code:
            return {"__type": self.code, "ErrorCode": self.error_code, "Message": self.message}
        return {"__type": self.code, "message": self.message}


def invalid_request(message: str, error_code: str) -> ApiError:
    """Make an InvalidRequestException."""
    return ApiError(message, "InvalidRequestException", error_code)


def now() -> float:
    """Return seconds since the epoch, to the millisecond as EMR reports them."""
    return round(time.time(), 3)


def new_id(prefix: str) -> str:
    """Make an id in EMR's format, for example j-2AXXXXXXGAPLF."""
    return prefix + "-" + "".join(secrets.choice(ID_CHARACTERS) for _ in range(13))


def make_page(name: str, entries: list[JsonObject], request: JsonObject, *, id_name: str = "Id") -> JsonObject:
    """Answer with one page of a list. A Marker is the id of the last entry sent, so that new entries shift nothing."""
    start = 0
    if "Marker" in request:
        ids = [entry[id_name] for entry in entries]
        if request["Marker"] not in ids:
            raise invalid_request("Invalid marker", "InvalidMarker")
        start = ids.index(request["Marker"]) + 1
    page = entries[start : start + PAGE_SIZE]
    if start + PAGE_SIZE < len(entries):
        return {name: page, "Marker": page[-1][id_name]}
    return {name: page}


@dataclass
class Step:
    """One step of a cluster. `config` is the StepConfig of the request; the keys of `timeline` are the API's."""

    config: JsonObject
    id: str = field(default_factory=lambda: new_id("s"))
    state: str = "PENDING"
    reason: JsonObject = field(default_factory=dict)
    failure: JsonObject | None = None
    timeline: dict[str, float] = field(default_factory=lambda: {"CreationDateTime": now()})

    def to_api(self) -> JsonObject:
        jar = self.config["HadoopJarStep"]
        properties = {pair.get("Key", ""): pair.get("Value", "") for pair in jar.get("Properties", [])}
        config = {**jar, "Args": jar.get("Args", []), "Properties": properties}
        status = {"State": self.state, "StateChangeReason": self.reason, "Timeline": dict(self.timeline)}
        if self.failure:
            status["FailureDetails"] = self.failure
        return {"ActionOnFailure": DEFAULT_ACTION, **self.config, "Id": self.id, "Config": config, "Status": status}
