"""EMR's protocol, JSON 1.1 over HTTP: checks requests and shapes answers by botocore's own model of the service."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.emr.model import ApiError, JsonObject
from local.emr.operations import Emr

SERVICE = botocore.session.Session().get_service_model("emr")
TARGET = "ElasticMapReduce."


def make_app(emr: Emr, *, is_local: bool) -> Starlette:
    """Serve `emr`; `is_local` refuses requests that name another host, as a web page with a false DNS entry would."""

    async def call(request: Request) -> JSONResponse:
        target, body, status = request.headers.get("x-amz-target", ""), await request.body(), 200
        try:
            answer = await run_in_threadpool(handle, emr, target, body)
        except ApiError as refusal:
            answer, status = {"__type": refusal.code, "message": refusal.message}, 400
        return JSONResponse(answer, status, media_type="application/x-amz-json-1.1")

    async def show_health(request: Request) -> JSONResponse:
        return JSONResponse({"service": "emr", "stand_in": True, "status": "ok", "clusters": len(emr.clusters)})

    @asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(emr.shut_down)

    hosts = ["127.0.0.1", "localhost", "[::1]"] if is_local else ["*"]
    routes = [Route("/", call, methods=["POST"]), Route("/", show_health, methods=["GET"])]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)], lifespan=live)


def handle(emr: Emr, target: str, body: bytes) -> JsonObject:
    """Check a request against the model, carry it out, and cut the answer to what the model knows."""
    operation = target.removeprefix(TARGET)
    if not target.startswith(TARGET) or operation not in SERVICE.operation_names:
        raise ApiError(f"X-Amz-Target is {target!r}; expected {TARGET}<Operation>.", "UnknownOperationException")
    try:
        asked = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError(f"The body is not JSON: {error}", "SerializationException") from None
    model: Any = SERVICE.operation_model(operation)
    errors = ParamValidator().validate(asked, model.input_shape)
    problems = [errors.generate_report()] if errors.has_errors() else list(find_bad_values(asked, model.input_shape))
    if problems:
        raise ApiError("; ".join(problems))
    answer = emr.answer(operation, asked)
    return dict(cut(answer, model.output_shape)) if model.output_shape else {}


def find_bad_values(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """Name values outside their enumeration, which botocore's validator leaves to the service."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from find_bad_values(member, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for number, member in enumerate(value):
            yield from find_bad_values(member, shape.member, f"{path}[{number}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"Value '{value}' at '{path[1:]}' failed to satisfy constraint: Member must be one of {shape.enum}"


def cut(value: Any, shape: Any) -> Any:
    """Leave out members that the answer's shape does not have."""
    if shape.type_name == "structure":
        return {name: cut(member, shape.members[name]) for name, member in value.items() if name in shape.members}
    return [cut(member, shape.member) for member in value] if shape.type_name == "list" else value
