"""The application: its routes, and the task that looks for new models."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from serving import contribution_routes, problems
from serving.answers import Answer
from serving.problems import Problem
from serving.security_headers import SecurityHeaders
from serving.service import Service
from serving.settings import Settings
from serving.uploads import FIELD

log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
REQUEST_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP, GIF, BMP or TIFF"}},
            }
        }
    },
}


def create_app(settings: Settings) -> FastAPI:
    """Return the application."""
    service = Service(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.refresh)
        poll = asyncio.create_task(_poll(service))
        yield
        poll.cancel()
        if service.workers:
            await asyncio.to_thread(service.workers.stop)

    app = FastAPI(
        title="Fruits",
        version="1",
        summary="Which fruit is on this photo?",
        description="Photos are analysed in memory. Nothing of them is stored or logged, except photos posted to /contributions "
        "with consent.",
        lifespan=lifespan,
    )
    app.add_middleware(SecurityHeaders)
    problems.add_handlers(app)
    _add_routes(app, service)
    contribution_routes.add_routes(app, service)
    app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    return app


async def _poll(service: Service) -> None:
    while True:
        await asyncio.sleep(service.settings.poll_s)
        try:
            await asyncio.to_thread(service.refresh)
        except Exception:
            log.exception("looking for another classifier failed; trying again in %s s", service.settings.poll_s)


def _add_routes(app: FastAPI, service: Service) -> None:
    @app.post(
        "/predict",
        summary="Name the fruit on a photo",
        openapi_extra={"requestBody": REQUEST_BODY},
        response_model=Answer,
        responses=problems.openapi_responses(400, 408, 413, 415, 422, 429, 503),
    )
    async def predict(request: Request) -> Response:
        began = time.perf_counter()
        status = 500
        try:
            answer = await service.predict(request)
            status = 200
        except Problem as problem:
            status = problem.status
            raise
        finally:
            service.metrics.requests.labels(str(status)).inc()
            service.metrics.latency.observe(time.perf_counter() - began)
        return Response(answer.model_dump_json(), media_type="application/json")

    # Otherwise the mounted page would answer these methods, with 404.
    @app.api_route("/predict", methods=["GET", "HEAD", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def predict_is_post() -> Response:
        raise HTTPException(405, "POST a photo to /predict", {"Allow": "POST"})

    @app.get("/health", summary="Whether the process answers")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Whether there is a model, and which", responses=problems.openapi_responses(503))
    async def ready() -> Response:
        models = service.models
        if not models.current or not service.workers:
            raise Problem(503, "no_model", service.not_ready_reason(), retry_after_s=60)
        state: dict[str, Any] = {
            "status": "ready",
            "classifier": models.current.model_id,
            "extractor": models.current.classifier.extractor,
            "refused": asdict(models.refusal) if models.refusal else None,
        }
        return JSONResponse(state)

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
