"""Stores contributed photos for review, and requests their erasure."""

import contextlib
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import obstore
from obstore.exceptions import AlreadyExistsError, PermissionDeniedError
from obstore.store import S3Store
from pydantic import BaseModel, Field

from fruits_contract import layout
from fruits_contract.contributions import Consent, Contribution, ErasureRequest, Guess, InvalidContribution, check_id, new_id
from serving.answers import Answer
from serving.problems import Problem

CONSENT_VERSION = "2026-11-28"  # of the text in static/texts.js; a test fails where the text changes without it
LANGUAGES = ("en", "fr")
CODE = re.compile(r"[0-9a-f]{32}")


class Receipt(BaseModel):
    """What the contributor of a photo gets."""

    contribution: str = Field(description="The photo's id.", examples=["20261127-0f3c2f6e9f4b4d0f8a5f0f3c2f6e9f4b"])
    token: str = Field(description="Erases the photo: POST it to /erasures. It is not shown again.")


class ContributionAnswer(BaseModel):
    """The answer, and whether the photo was kept."""

    answer: Answer
    receipt: Receipt | None = Field(description="null where the photo was not kept.")
    not_kept: Literal["sure", "too_many"] | None = Field(
        description="sure: the answer is not in doubt. too_many: the daily limit is reached."
    )


class ErasureState(BaseModel):
    """The state of an erasure."""

    state: Literal["requested", "erased"] = Field(description="requested: erased within some hours.")
    certificate: dict[str, Any] | None = Field(description="What was removed and checked; null before.")


@dataclass(frozen=True)
class Form:
    """The fields beside the photo, checked."""

    code: str
    consent: str
    language: str

    @classmethod
    def of(cls, fields: dict[str, str]) -> "Form":
        """Check the fields of a request; raise `Problem` where one is missing or wrong."""
        form = cls(fields.get("contributor", ""), fields.get("consent", ""), fields.get("language", ""))
        if not form.consent:
            raise Problem(422, "no_consent", "a photo is kept only with consent: its text's version in the field consent")
        if form.consent != CONSENT_VERSION:
            raise Problem(
                422, "consent_outdated", f"the text of the consent has changed; the current version is {CONSENT_VERSION}"
            )
        if not CODE.fullmatch(form.code):
            raise Problem(422, "no_contributor", "expected 32 hexadecimal digits in the field contributor")
        if form.language not in LANGUAGES:
            raise Problem(422, "no_language", f"expected the language of the consent: {' or '.join(LANGUAGES)}")
        return form


class Contributions:
    """The contributions in a bucket.

    Parameters
    ----------
    key
        Secret that makes contributors' hashes and tokens; not in the bucket. Whoever has the bucket alone can neither tell whose
        a photo is nor make a token.
    """

    def __init__(self, bucket: str, *, key: str) -> None:
        self._store = S3Store(bucket)
        self._key = key.encode()

    def hash_of(self, code: str) -> str:
        """Return the keyed hash of a contributor's code."""
        return self._signed("contributor", code)

    def token_of(self, contribution: str) -> str:
        """Return the token that erases a contribution: its id and a signature."""
        return f"{contribution}.{self._signed('erasure', contribution)}"

    def contribution_of(self, token: str) -> str:
        """Return the contribution that a token erases; raise `Problem` for one that this service has not made."""
        contribution, _, signature = token.strip().partition(".")
        is_ours = hmac.compare_digest(signature.encode(), self._signed("erasure", contribution).encode())
        with contextlib.suppress(InvalidContribution):
            if is_ours:
                return check_id(contribution)
        raise Problem(404, "unknown_token", "this token is not valid; copy the whole token")

    async def keep(self, photo: bytes, form: Form, answer: Answer) -> Receipt:
        """Store the record and then the photo: a record without a photo is harmless, a photo without a record has no consent.

        Parameters
        ----------
        photo
            A clean copy: nothing but pixels.
        """
        now = datetime.now(UTC)
        record = Contribution(
            contribution=new_id(now),
            contributor=self.hash_of(form.code),
            consent=Consent(form.consent, form.language, now.isoformat(timespec="seconds")),
            guess=Guess(answer.models.classifier, answer.verdict, [(each.name, each.probability) for each in answer.variety.top]),
        )
        await obstore.put_async(self._store, layout.contribution_record(record.contribution), record.to_json())
        await obstore.put_async(self._store, layout.contribution_photo(record.contribution), photo)
        return Receipt(contribution=record.contribution, token=self.token_of(record.contribution))

    async def erase(self, token: str) -> ErasureState:
        """Request the erasure of a photo; asking again changes nothing, and shows the certificate once there is one.

        Raises
        ------
        Problem
            The token is not valid.
        """
        contribution = self.contribution_of(token)
        # Without the right to list the bucket, S3 answers 403 for a missing object.
        with contextlib.suppress(FileNotFoundError, PermissionDeniedError):
            found = await obstore.get_async(self._store, layout.erasure_certificate(contribution))
            return ErasureState(state="erased", certificate=json.loads(bytes(await found.bytes_async())))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        request = ErasureRequest(request=contribution, requested_at=now, contribution=contribution)
        with contextlib.suppress(AlreadyExistsError):
            await obstore.put_async(self._store, layout.erasure_request(contribution), request.to_json(), mode="create")
        return ErasureState(state="requested", certificate=None)

    async def erase_all(self, code: str) -> ErasureState:
        """Request the erasure of all photos of a contributor, whose code only their browser has.

        Raises
        ------
        Problem
            The code is not 32 hexadecimal digits.
        """
        if not CODE.fullmatch(code):
            raise Problem(422, "no_contributor", "expected 32 hexadecimal digits in the field contributor")
        now = datetime.now(UTC)
        request = ErasureRequest(new_id(now), now.isoformat(timespec="seconds"), contributor=self.hash_of(code))
        await obstore.put_async(self._store, layout.erasure_request(request.request), request.to_json())
        return ErasureState(state="requested", certificate=None)

    def _signed(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
