"""What lives as long as the service does: workers, the current model, metrics, limits; and how it answers a photo."""

import logging
import time

from fastapi import Request
from limits import RateLimitItemPerDay, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from obstore.exceptions import BaseError as StorageError

from serving.answers import Answer, answer_of
from serving.contributions import ContributionAnswer, Contributions, Form
from serving.metrics import Metrics
from serving.models import ModelRefused, Models
from serving.photo_workers import PhotoWorkers, WorkersFailed
from serving.problems import Problem
from serving.settings import Settings
from serving.uploads import Upload, read_upload

log = logging.getLogger(__name__)
NO_MODEL = "no classifier is current in this bucket yet; run the DAG fruits_classifier (on one machine: make run TRAIN=1)"
NOT_LOADED = "the classifier cannot be loaded; see /ready"
CONTRIBUTION_FIELDS = 3  # beside the photo: contributor, consent, language
ERASE_ALL_RETRY_S = 3600
ADDRESS_SHARE = 10  # contributors of one address, e.g. of a school, that may each contribute all they may


class Service:
    """The state of one service: models, workers once there is a model, metrics, and the limit of requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.models = Models(settings.bucket)
        self.workers: PhotoWorkers | None = None
        self.load_error = ""  # why the current model could not be loaded at the last attempt
        self._rate = RateLimitItemPerMinute(settings.requests_per_minute) if settings.requests_per_minute else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._uploads = 0
        key = settings.contributor_key.get_secret_value()
        self.contributions = Contributions(settings.bucket, key=key) if key else None
        self._contributor_limit = RateLimitItemPerDay(settings.contributions_per_day)
        self._address_limit = RateLimitItemPerDay(settings.contributions_per_day * ADDRESS_SHARE)

    def refresh(self) -> None:
        """Use the current classifier; start the workers with the first one's network."""
        refused_before = self.models.refusal
        try:
            self.models.refresh()
            current = self.models.current
            if current and self.workers is None:
                model = self.models.read_extractor(current.classifier.extractor)
                self.workers = PhotoWorkers(self.settings, model, self.metrics)
        except WorkersFailed as error:
            log.error("the workers cannot be started: %s", error)
            self.load_error = f"the workers cannot be started: {error}"
            return
        except (StorageError, OSError, ModelRefused, ValueError) as error:
            # The bucket may answer again later; until then the model in use stays.
            log.error("the current model cannot be read: %s", error)
            self.load_error = f"the current model cannot be read: {error}"
            return
        self.load_error = ""
        if self.models.refusal and self.models.refusal != refused_before:
            self.metrics.refused_models.inc()
        if current:
            self.metrics.model.info({"classifier": current.model_id, "extractor": current.classifier.extractor})

    async def check_rate(self, client: str) -> None:
        """Refuse a client that has used up its requests."""
        if self._rate and not await self._limiter.hit(self._rate, client):
            raise Problem(429, "rate_limited", f"more than {self._rate.amount} requests in a minute", retry_after_s=60)

    async def check_erase_all(self, address: str) -> None:
        """Refuse an address that has requested too many erasures of contributors: codes cost nothing, an erasure scans tables."""
        if not await self._limiter.hit(self._address_limit, "erase-all", address):
            raise Problem(
                429, "rate_limited", "too many erasures were requested from this address today", retry_after_s=ERASE_ALL_RETRY_S
            )

    async def _read(self, request: Request, *, fields: int = 0) -> Upload:
        """Return the photo; the number of photos that are being sent is bounded, and so is the memory that they take."""
        if self._uploads >= self.settings.max_waiting:
            raise Problem(503, "overloaded", f"{self._uploads} photos are being sent already", retry_after_s=1)
        self._uploads += 1
        try:
            return await read_upload(request, self.settings, fields=fields)
        finally:
            self._uploads -= 1

    async def predict(self, request: Request) -> Answer:
        """Answer one request."""
        began = time.perf_counter()
        await self.check_rate(address_of(request))
        upload = await self._read(request)
        return await self._answer(upload.photo, began=began)

    async def contribute(self, request: Request) -> ContributionAnswer:
        """Answer one request, and keep its photo where the answer is in doubt; the only way that a photo is stored.

        Raises
        ------
        Problem
            As `predict`; or there is no consent, or this service keeps no photos.
        """
        began = time.perf_counter()
        await self.check_rate(address_of(request))
        contributions = self.require_contributions()
        upload = await self._read(request, fields=CONTRIBUTION_FIELDS)
        form = Form.of(upload.fields)
        answer = await self._answer(upload.photo, began=began)
        if answer.verdict == "sure":
            return ContributionAnswer(answer=answer, receipt=None, not_kept="sure")
        if not await self._take_contribution_quota(contributions.hash_of(form.code), address_of(request)):
            return ContributionAnswer(answer=answer, receipt=None, not_kept="too_many")
        assert self.workers, "the answer is theirs"
        photo = await self.workers.clean_copy_of(upload.photo)
        receipt = await contributions.keep(photo, form, answer)
        self.metrics.contributions.inc()
        return ContributionAnswer(answer=answer, receipt=receipt, not_kept=None)

    def require_contributions(self) -> Contributions:
        """Return where photos are kept; raise `Problem` where this service keeps none."""
        if self.contributions is None:
            raise Problem(404, "no_contributions", "this service keeps no photos (FRUITS_CONTRIBUTOR_KEY is not set)")
        return self.contributions

    async def _take_contribution_quota(self, contributor: str, address: str) -> bool:
        """Return whether contributor and address have quota left, and use it; an address may make up contributors."""
        limits = ((self._address_limit, ("contributions", address)), (self._contributor_limit, (contributor,)))
        if not all([await self._limiter.test(limit, *who) for limit, who in limits]):
            return False
        return all([await self._limiter.hit(limit, *who) for limit, who in limits])

    def not_ready_reason(self) -> str:
        """Return why no photo can be answered; '' when one can."""
        if self.workers and self.models.current:
            return ""
        if self.models.refusal:
            return self.models.refusal.reason
        return self.load_error or NO_MODEL

    async def _answer(self, photo: bytes, *, began: float) -> Answer:
        if not self.workers or not self.models.current:
            reason = self.not_ready_reason()
            # A load error may name the bucket and its endpoint.
            detail = NOT_LOADED if reason == self.load_error else reason
            raise Problem(503, "no_model", detail, retry_after_s=60)
        features = await self.workers.features_of(photo)
        answer = answer_of(self.models.current, features, total_ms=(time.perf_counter() - began) * 1000)
        self.metrics.verdicts.labels(answer.verdict).inc()
        return answer


def address_of(request: Request) -> str:
    """Return the address of the client, by which its requests are counted; '' where it is unknown."""
    return request.client.host if request.client else ""
