"""EMR's protocol, JSON 1.1 over HTTP: requests and answers follow botocore's model of the service."""

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
    """Serve `emr`; `is_local` refuses requests that name another host, as a web page would after DNS rebinding."""

    async def call(request: Request) -> JSONResponse:
        target, body = request.headers.get("x-amz-target", ""), await request.body()
        try:
            answer, status = await run_in_threadpool(handle, emr, target, body), 200
        except ApiError as error:
            answer, status = error.to_api(), 400
        return JSONResponse(answer, status, media_type="application/x-amz-json-1.1")

    async def show_health(request: Request) -> JSONResponse:
        return JSONResponse({"service": "emr", "emulator": True, "status": "ok", "clusters": len(emr.clusters)})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(emr.shut_down)

    hosts = ["127.0.0.1", "localhost", "[::1]"] if is_local else ["*"]
    routes = [Route("/", call, methods=["POST"]), Route("/", show_health, methods=["GET"])]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)], lifespan=lifespan)


def handle(emr: Emr, target: str, body: bytes) -> JsonObject:
    """Check a request against the model, carry it out, and reduce the answer to what the model has."""
    operation = target.removeprefix(TARGET)
    if not target.startswith(TARGET) or operation not in SERVICE.operation_names:
        raise ApiError(f"X-Amz-Target is {target!r}; expected {TARGET}<Operation>.", "UnknownOperationException")
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError(f"The body is not JSON: {error}", "SerializationException") from None
    model: Any = SERVICE.operation_model(operation)
    errors = ParamValidator().validate(request, model.input_shape)
    problems = [errors.generate_report()] if errors.has_errors() else list(find_enum_errors(request, model.input_shape))
    if problems:
        raise ApiError("; ".join(problems))
    answer = emr.answer(operation, request)
    return dict(keep_modeled(answer, model.output_shape)) if model.output_shape else {}


def find_enum_errors(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """Describe values outside their enumeration, which botocore's validator does not check."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from find_enum_errors(member, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for number, member in enumerate(value):
            yield from find_enum_errors(member, shape.member, f"{path}[{number}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"Value '{value}' at '{path[1:]}' failed to satisfy constraint: Member must be one of {shape.enum}"


def keep_modeled(value: Any, shape: Any) -> Any:
    """Remove the members that the shape of an answer does not have."""
    if shape.type_name == "structure":
        return {name: keep_modeled(member, shape.members[name]) for name, member in value.items() if name in shape.members}
    if shape.type_name == "list":
        return [keep_modeled(member, shape.member) for member in value]
    return value
