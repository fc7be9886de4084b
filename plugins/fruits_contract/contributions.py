"""A photo that its taker agreed to contribute: the record that goes with it from the service through review to the drop."""

import json
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

# A rejected photo has its state only until photo and record are deleted.
WAITING, ACCEPTED, REJECTED = "waiting", "accepted", "rejected"
_ID = re.compile(r"(\d{8})-[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")


class InvalidContribution(ValueError):
    """Not a valid id, record or request."""


def new_id(now: datetime) -> str:
    """Return an id for a photo received now: the day, by which its age is known, and 128 random bits."""
    return f"{now.astimezone(UTC):%Y%m%d}-{secrets.token_hex(16)}"


def check_id(value: str) -> str:
    """Return `value` when it is an id; raise `InvalidContribution` otherwise."""
    if _ID.fullmatch(value):
        return value
    raise InvalidContribution("expected the id of a contribution: eight digits, '-', 32 hexadecimal digits")


def is_keyed_hash(value: str) -> bool:
    """Return whether `value` has the form of a contributor's keyed hash."""
    return bool(_HASH.fullmatch(value))


def received_on(contribution: str) -> datetime:
    """Return the beginning (UTC) of the day on which a photo was received."""
    return datetime.strptime(check_id(contribution)[:8], "%Y%m%d").replace(tzinfo=UTC)


@dataclass(frozen=True)
class Consent:
    """What the contributor agreed to.

    Parameters
    ----------
    version
        Of the text that was shown.
    language
        In which it was shown: 'en' or 'fr'.
    given_at
        ISO 8601, UTC.
    """

    version: str
    language: str
    given_at: str


@dataclass(frozen=True)
class Guess:
    """What the classifier made of the photo.

    Parameters
    ----------
    classifier
        Its id.
    verdict
        'not_sure' or 'unknown'.
    varieties
        Pairs of name and probability, the likeliest first.
    """

    classifier: str
    verdict: str
    varieties: list[tuple[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Contribution:
    """The record of one contributed photo.

    Parameters
    ----------
    contribution
        Its id.
    contributor
        Keyed hash of the contributor's code; the key is not in the bucket.
    state
        `WAITING`, `ACCEPTED` or `REJECTED`.
    label, drop
        Variety and drop of an accepted photo; '' before. In a record that is still `WAITING` they say where an acceptance that
        has not ended has put the photo, or is about to.
    """

    contribution: str
    contributor: str
    consent: Consent
    guess: Guess
    state: str = WAITING
    label: str = ""
    drop: str = ""

    def to_json(self) -> bytes:
        """Return the object's content."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Contribution":
        """Read a record.

        Raises
        ------
        InvalidContribution
            When the content is no record.
        """
        try:
            data: dict[str, Any] = json.loads(content)
            guess = data.pop("guess")
            guess["varieties"] = [(name, probability) for name, probability in guess["varieties"]]
            return cls(consent=Consent(**data.pop("consent")), guess=Guess(**guess), **data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidContribution(f"not the record of a contribution: {type(error).__name__}") from error


@dataclass(frozen=True)
class ErasureRequest:
    """A request to erase one contribution, or all of a contributor.

    Parameters
    ----------
    request
        Its name: the contribution's id, or a random one of the same form for a contributor.
    contribution
        Id of the contribution; '' for all of `contributor`.
    contributor
        Keyed hash; '' where `contribution` is given.
    requested_at
        ISO 8601, UTC.
    """

    request: str
    requested_at: str
    contribution: str = ""
    contributor: str = ""

    def to_json(self) -> bytes:
        """Return the object's content."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "ErasureRequest":
        """Read a request; raise `InvalidContribution` when the content is none, or one that would erase something else."""
        try:
            request = cls(**json.loads(content))
            check_id(request.request)
            is_named = _ID.fullmatch(request.contribution) if request.contribution else is_keyed_hash(request.contributor)
            datetime.fromisoformat(request.requested_at)
        except (ValueError, TypeError) as error:
            raise InvalidContribution(f"not a request to erase: {type(error).__name__}") from error
        if not is_named or bool(request.contribution) == bool(request.contributor):
            raise InvalidContribution("not a request to erase: it names neither one contribution nor one contributor")
        return request
