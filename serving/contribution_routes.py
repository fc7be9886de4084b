"""The routes for contributors: keep a photo in doubt, with consent, and erase it again."""

from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving import problems
from serving.contributions import CONSENT_VERSION, LANGUAGES, ContributionAnswer, ErasureState
from serving.problems import Problem
from serving.same_origin import check_same_origin
from serving.service import Service, address_of
from serving.uploads import FIELD, read_body

CONTRIBUTION_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD, "contributor", "consent", "language"],
                "properties": {
                    FIELD: {"type": "string", "format": "binary"},
                    "contributor": {
                        "type": "string",
                        "pattern": "^[0-9a-f]{32}$",
                        "description": "Random; chosen by the client.",
                    },
                    "consent": {"type": "string", "description": "The version of the text that was agreed to."},
                    "language": {"type": "string", "enum": list(LANGUAGES)},
                },
            }
        }
    },
}


class Terms(BaseModel):
    """Whether this service keeps photos, and the consent that it asks for."""

    keeps_photos: bool
    consent: str = Field(description="The version of the text.", examples=[CONSENT_VERSION])


class ErasureForm(BaseModel):
    """The token of a receipt, or the code of a contributor for all of their photos."""

    token: str = Field("", max_length=200)
    contributor: str = Field("", max_length=200)


ERASURE_BODY = {"required": True, "content": {"application/json": {"schema": ErasureForm.model_json_schema()}}}
ERASURE_BYTES = 2000


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to the application."""

    @app.get("/contributions", summary="Whether photos can be contributed")
    async def terms() -> Terms:
        return Terms(keeps_photos=service.contributions is not None, consent=CONSENT_VERSION)

    @app.post(
        "/contributions",
        summary="Name the fruit on a photo, and let the photo be kept where the answer is in doubt",
        openapi_extra={"requestBody": CONTRIBUTION_BODY},
        responses=problems.openapi_responses(400, 403, 404, 408, 413, 415, 422, 429, 503),
    )
    async def contribute(request: Request) -> ContributionAnswer:
        check_same_origin(request)
        return await service.contribute(request)

    @app.post(
        "/erasures",
        summary="Erase a contributed photo, or all of a contributor",
        status_code=202,
        openapi_extra={"requestBody": ERASURE_BODY},
        responses=problems.openapi_responses(400, 403, 404, 408, 413, 422, 429, 503),
    )
    async def erase(request: Request) -> ErasureState:
        check_same_origin(request)
        await service.check_rate(address_of(request))
        contributions = service.require_contributions()
        # Not as a parameter, for which the framework would read a body of any size.
        body = await read_body(request, service.settings, max_bytes=ERASURE_BYTES)
        try:
            form = ErasureForm.model_validate_json(body)
        except ValidationError as error:
            raise Problem(422, "invalid_request", "expected JSON with a token, or with a contributor") from error
        if form.contributor:
            await service.check_erase_all(address_of(request))
            return await contributions.erase_all(form.contributor)
        return await contributions.erase(form.token)

    # Otherwise the mounted page would answer these methods, with 404.
    @app.api_route("/contributions", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def contributions_are_posted() -> Response:
        raise HTTPException(405, "GET or POST /contributions", {"Allow": "GET, POST"})

    @app.api_route("/erasures", methods=["GET", "HEAD", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def erasures_are_posted() -> Response:
        raise HTTPException(405, "POST a token to /erasures", {"Allow": "POST"})
