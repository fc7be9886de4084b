"""Keeps the current classifier: reads it from the bucket, and replaces it when another one becomes current."""

import hashlib
import json
import logging
from dataclasses import dataclass

import obstore
from obstore.store import S3Store

from fruits.classifier import Classifier, model_id_of
from fruits.errors import InvalidClassifier
from fruits_contract import layout

log = logging.getLogger(__name__)


class ModelRefused(RuntimeError):
    """A current model that this service cannot use; the message has the reason."""


@dataclass(frozen=True)
class CurrentModel:
    """The classifier in use and its id."""

    model_id: str
    classifier: Classifier


@dataclass(frozen=True)
class RefusedModel:
    """A model that became current and cannot be used, and why."""

    model_id: str
    reason: str


class Models:
    """The models of a bucket.

    Parameters
    ----------
    bucket
        Name of the bucket; endpoint, region and credentials come from the standard AWS environment.
    """

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.current: CurrentModel | None = None
        self.refusal: RefusedModel | None = None
        self._store = S3Store(bucket)

    def refresh(self) -> None:
        """Use the classifier that is current in the bucket.

        One that cannot be used is refused: the one in use stays, and `refusal` says why.

        Raises
        ------
        ModelRefused
            When the pointer names no classifier in a form that is known.
        """
        try:
            pointer = json.loads(self._read(layout.CURRENT_MODELS))
        except FileNotFoundError:
            return
        entry = pointer.get("classifier") if isinstance(pointer, dict) else None
        if not entry:
            return
        if not isinstance(entry, dict) or "model_id" not in entry:
            raise ModelRefused(f"{layout.CURRENT_MODELS} names no model_id of a classifier: {entry!r}")
        model_id = str(entry["model_id"])
        if self.current and self.current.model_id == model_id:
            self.refusal = None
            return
        if self.refusal and self.refusal.model_id == model_id:
            return
        try:
            self.current = CurrentModel(model_id, self._load(model_id))
        except (ModelRefused, InvalidClassifier, FileNotFoundError) as error:
            self.refusal = RefusedModel(model_id, str(error))
            log.error("classifier %s is refused: %s", model_id, error)
            return
        self.refusal = None
        log.info("classifier %s is in use", model_id)

    def read_extractor(self, digest: str) -> bytes:
        """Return the bytes of a feature extractor.

        Raises
        ------
        ModelRefused
            When the object's content is another than its name says.
        """
        model = self._read(layout.extractor(digest))
        found = hashlib.sha256(model).hexdigest()
        if found != digest:
            raise ModelRefused(f"{layout.extractor(digest)} has the sha256 {found}")
        return model

    def _load(self, model_id: str) -> Classifier:
        content = self._read(layout.classifier_arrays(model_id))
        if model_id_of(content) != model_id:
            raise ModelRefused(f"its arrays are those of {model_id_of(content)}")
        classifier = Classifier.from_bytes(content)
        if self.current and classifier.extractor != self.current.classifier.extractor:
            raise ModelRefused(
                f"it reads features of extractor {classifier.extractor[:12]}, this service runs "
                f"{self.current.classifier.extractor[:12]}; restart the service to change it"
            )
        return classifier

    def _read(self, key: str) -> bytes:
        return bytes(obstore.get(self._store, key).bytes())
