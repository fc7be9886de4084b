"""Claims: which reviewer has a contributed photo, so that no two are shown the same one."""

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from fruits_airflow.bucket import Bucket
from fruits_contract import layout

CLAIMED_FOR = timedelta(minutes=5)


class ClaimLost(Exception):
    """The photo is not this reviewer's any more: somebody else has it, or has decided."""


@dataclass(frozen=True)
class Claim:
    """What the object of a claim holds.

    Parameters
    ----------
    token
        Random; whoever has it may decide. It does not say who that is.
    claimed_at
        ISO 8601, UTC; '' for a claim that was given back.
    """

    token: str = ""
    claimed_at: str = ""

    def is_held(self, now: datetime) -> bool:
        """Return whether other reviewers have to wait."""
        return bool(self.claimed_at) and now < datetime.fromisoformat(self.claimed_at) + CLAIMED_FOR


def claim(bucket: Bucket, contribution: str, *, now: datetime) -> str:
    """Claim a photo and return the claim's token; '' where another reviewer has it."""
    existing = _read(bucket, contribution)
    if existing is None:
        etag = ""
    else:
        held, etag = existing
        if held.is_held(now):
            return ""
    mine = Claim(secrets.token_hex(16), now.astimezone(UTC).isoformat())
    return mine.token if _replace(bucket, contribution, mine, etag=etag) else ""


def check_claim(bucket: Bucket, contribution: str, token: str) -> None:
    """Raise `ClaimLost` unless the photo is claimed with `token`, however long ago."""
    existing = _read(bucket, contribution)
    if existing is None or not token or existing[0].token != token:
        raise ClaimLost("another reviewer was faster")


def give_back(bucket: Bucket, contribution: str, token: str) -> None:
    """Let other reviewers have the photo; a claim that was lost stays whose it is."""
    existing = _read(bucket, contribution)
    if existing is not None and existing[0].token == token:
        _replace(bucket, contribution, Claim(), etag=existing[1])


def _read(bucket: Bucket, contribution: str) -> tuple[Claim, str] | None:
    try:
        content, etag = bucket.read_with_etag(layout.contribution_claim(contribution))
    except FileNotFoundError:
        return None
    return Claim(**json.loads(content)), etag


def _replace(bucket: Bucket, contribution: str, claimed: Claim, *, etag: str) -> bool:
    content = (json.dumps(asdict(claimed)) + "\n").encode()
    return bucket.write_if_unchanged(layout.contribution_claim(contribution), content, etag=etag)
