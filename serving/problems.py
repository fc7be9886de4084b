"""Errors as problem details for HTTP APIs (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from obstore.exceptions import BaseError as StorageError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)
NO_STORAGE = "the bucket could not be read or written; the request may not have been carried out, send it again"
MEDIA_TYPE = "application/problem+json"


class ProblemDetails(BaseModel):
    """Why a request was refused."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    reason: str = Field(description="A short code for programs.", examples=["truncated"])
    detail: str = Field(description="A sentence for people.", examples=["image file is truncated (12 bytes not processed)"])


class Problem(Exception):
    """A refusal with its HTTP status, a short code for programs and a sentence for people."""

    def __init__(self, status: int, reason: str, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}

    def to_response(self) -> Response:
        """Return the response that states the problem."""
        details = ProblemDetails(title=HTTPStatus(self.status).phrase, status=self.status, reason=self.reason, detail=str(self))
        return JSONResponse(details.model_dump(), self.status, self.headers, MEDIA_TYPE)


def openapi_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of refusals with these statuses."""
    schema = {"schema": ProblemDetails.model_json_schema()}
    return {status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}} for status in statuses}


def add_handlers(app: FastAPI) -> None:
    """Let every error leave as a problem, those of the framework and unexpected ones included."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> Response:
        return error.to_response()

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        response = Problem(error.status_code, "http_error", str(error.detail)).to_response()
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        return Problem(422, "invalid_request", "; ".join(item["msg"] for item in error.errors())).to_response()

    @app.exception_handler(StorageError)
    async def _no_storage(_: Request, error: StorageError) -> Response:
        log.error("a request to the bucket failed", exc_info=error)
        return Problem(503, "no_storage", NO_STORAGE, retry_after_s=10).to_response()

    @app.exception_handler(Exception)
    async def _unexpected(_: Request, error: Exception) -> Response:
        log.error("unexpected error", exc_info=error)
        return Problem(500, "internal_error", "an unexpected error; the service's log has the details").to_response()
