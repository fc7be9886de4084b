"""The service's routes, and what lives as long as it does: workers, the current model, metrics."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from obstore.exceptions import BaseError as StorageError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from serving import problems
from serving.answers import Answer, answer_of
from serving.metrics import Metrics
from serving.models import ModelRefused, Models
from serving.photo_workers import PhotoWorkers
from serving.problems import Problem
from serving.security_headers import SecurityHeaders
from serving.settings import Settings
from serving.uploads import FIELD, read_photo

log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
NO_MODEL = "no classifier is current in this bucket yet; run the DAG fruits_classifier (on one machine: make run TRAIN=1)"
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


class Service:
    """The state of one service: models, workers once there is a model, metrics, and the limit of requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.models = Models(settings.bucket)
        self.workers: PhotoWorkers | None = None
        self.problem = ""  # why the bucket could not be read when it was last asked
        self._rate = RateLimitItemPerMinute(settings.requests_per_minute) if settings.requests_per_minute else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._uploads = 0

    def refresh(self) -> None:
        """Use the current classifier; start the workers with the first one's network."""
        refused_before = self.models.refusal
        try:
            self.models.refresh()
            current = self.models.current
            if current and self.workers is None:
                model = self.models.read_extractor(current.classifier.extractor)
                self.workers = PhotoWorkers(self.settings, model, self.metrics)
        except (StorageError, OSError, ModelRefused, ValueError) as error:
            # The bucket may answer again later; until then the model in use stays.
            log.error("the current model cannot be read: %s", error)
            self.problem = f"the current model cannot be read: {error}"
            return
        self.problem = ""
        if self.models.refusal and self.models.refusal != refused_before:
            self.metrics.refused_models.inc()
        if current:
            self.metrics.model.info({"classifier": current.model_id, "extractor": current.classifier.extractor})

    async def check_rate(self, client: str) -> None:
        """Refuse a client that has used up its requests."""
        if self._rate and not await self._limiter.hit(self._rate, client):
            raise Problem(429, "rate_limited", f"more than {self._rate.amount} requests in a minute", retry_after_s=60)

    async def _read(self, request: Request) -> bytes:
        """Return the photo; the number of photos that are being sent is bounded, and so is the memory that they take."""
        if self._uploads >= self.settings.max_waiting:
            raise Problem(503, "overloaded", f"{self._uploads} photos are being sent already", retry_after_s=1)
        self._uploads += 1
        try:
            return await read_photo(request, self.settings)
        finally:
            self._uploads -= 1

    async def predict(self, request: Request) -> Answer:
        """Answer one request."""
        began = time.perf_counter()
        await self.check_rate(request.client.host if request.client else "")
        content = await self._read(request)
        if not self.workers or not self.models.current:
            raise Problem(503, "no_model", NO_MODEL, retry_after_s=60)
        photo = await self.workers.features_of(content)
        answer = answer_of(self.models.current, photo, total_ms=(time.perf_counter() - began) * 1000)
        self.metrics.verdicts.labels(answer.verdict).inc()
        return answer


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
        description="Photos are analysed in memory. Nothing of them is stored or logged.",
        lifespan=lifespan,
    )
    app.add_middleware(SecurityHeaders)
    problems.add_handlers(app)
    _add_routes(app, service)
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
            reason = models.refusal.reason if models.refusal else service.problem
            raise Problem(503, "no_model", reason or NO_MODEL, retry_after_s=60)
        state: dict[str, Any] = {
            "status": "ready",
            "classifier": models.current.model_id,
            "extractor": models.current.classifier.extractor,
            "refused": models.refusal.__dict__ if models.refusal else None,
        }
        return JSONResponse(state)

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
