"""The page on which contributed photos are reviewed.

Ids of contributions are in the bodies of requests only, because addresses get into the server's log.
"""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.responses import Response

from fruits_airflow.claims import ClaimLost
from fruits_airflow.contributions import queued
from fruits_airflow.packed_photos import read_photo
from fruits_airflow.review import AlreadyDecided, Gone, accept, claim_next, photo_for_review, reject, skip
from fruits_airflow.ui import access
from fruits_airflow.ui.known_photos import is_known_photo, known_photos
from fruits_airflow.ui.pages import render
from fruits_airflow.ui.project import BucketDep
from fruits_airflow.variety_names import InvalidVariety, UnknownVariety, known_varieties
from fruits_contract import layout

COMPARED = 3  # varieties

router = APIRouter(prefix="/review")
ContributionId = Annotated[str, Field(pattern=r"^\d{8}-[0-9a-f]{32}$")]


class Skipped(BaseModel):
    """The photos that a reviewer has skipped in this sitting."""

    skipped: list[ContributionId] = Field(default_factory=list, max_length=1000)


class Shown(BaseModel):
    """A photo, and the token of the reviewer's claim."""

    contribution: ContributionId
    token: str = Field(max_length=64)


class Acceptance(Shown):
    """A photo with its variety; `is_new` confirms a variety that no published photo has."""

    label: str = Field(max_length=1000)
    is_new: bool = False


@router.get("", dependencies=access.REVIEWS)
def page(bucket: BucketDep) -> Response:
    """Return the page; its script asks for the photos."""
    content = render("review.html", root="", varieties=known_varieties(bucket))
    return HTMLResponse(content, headers={"Content-Security-Policy": access.REVIEW_POLICY})


@router.post("/next", dependencies=access.DECIDES)
def next_photo(request: Skipped, bucket: BucketDep) -> Response:
    """Claim the next photo, and describe it."""
    found = claim_next(bucket, skipped=set(request.skipped))
    waiting = len(queued(bucket))
    if found is None:
        return JSONResponse({"contribution": None, "waiting": waiting})
    varieties = [{"name": name, "probability": probability} for name, probability in found.record.guess.varieties]
    compared = known_photos(bucket, [name for name, _ in found.record.guess.varieties[:COMPARED]])
    return JSONResponse(
        {
            "contribution": found.record.contribution,
            "token": found.token,
            "verdict": found.record.guess.verdict,
            "varieties": varieties,
            "known": [asdict(photos) for photos in compared],
            "waiting": waiting,
        }
    )


@router.post("/photo", dependencies=access.DECIDES)
def contributed_photo(shown: Shown, bucket: BucketDep) -> Response:
    """Return the photo that the reviewer has claimed."""
    try:
        return _jpeg(photo_for_review(bucket, shown.contribution, shown.token))
    except (ClaimLost, FileNotFoundError):
        return _refusal("claim_lost")


@router.get("/known/{drop}/{variety}/{image}", dependencies=access.REVIEWS)
def known_photo(drop: str, variety: str, image: str, bucket: BucketDep) -> Response:
    """Return a photo to compare with."""
    key = layout.raw_image(drop, variety, image)
    if not is_known_photo(key):
        raise HTTPException(404)
    return _jpeg(read_photo(bucket, key))


@router.post("/accept", dependencies=access.DECIDES)
def accept_photo(decision: Acceptance, bucket: BucketDep) -> Response:
    """Put the photo into the next daily drop."""
    try:
        drop = accept(bucket, decision.contribution, decision.token, label=decision.label, is_new=decision.is_new)
    except InvalidVariety as error:
        return JSONResponse({"reason": "invalid_variety", "detail": str(error)}, status_code=422)
    except UnknownVariety:
        return JSONResponse({"reason": "unknown_variety"}, status_code=422)
    except (ClaimLost, AlreadyDecided):
        return _refusal("claim_lost")
    except Gone:
        return _refusal("gone")
    return JSONResponse({"drop": drop})


@router.post("/reject", dependencies=access.DECIDES)
def reject_photo(decision: Shown, bucket: BucketDep) -> Response:
    """Delete the photo."""
    try:
        reject(bucket, decision.contribution, decision.token)
    except (ClaimLost, AlreadyDecided):
        return _refusal("claim_lost")
    return JSONResponse({})


@router.post("/skip", dependencies=access.DECIDES)
def skip_photo(decision: Shown, bucket: BucketDep) -> Response:
    """Leave the photo to another reviewer."""
    skip(bucket, decision.contribution, decision.token)
    return JSONResponse({})


def _jpeg(content: bytes) -> Response:
    return Response(content, media_type="image/jpeg")


def _refusal(reason: str) -> Response:
    return JSONResponse({"reason": reason}, status_code=409)
