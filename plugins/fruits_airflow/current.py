"""`models/current.json`: which models are current; written only if unchanged since it was read."""

import json
from dataclasses import dataclass

from fruits_airflow.bucket import Bucket
from fruits_contract import layout

MAX_ATTEMPTS = 10


@dataclass(frozen=True)
class CurrentModels:
    """The pointer's content and the ETag it was read with ('' when there is none yet)."""

    models: dict[str, dict[str, str]]
    etag: str

    def pca_of(self, extractor: str) -> str | None:
        """Return the id of the current PCA, if it was fitted on features of `extractor`."""
        pca = self.models.get("pca", {})
        return pca.get("model_id") if pca.get("extractor") == extractor else None

    @property
    def classifier(self) -> dict[str, str]:
        """The entry of the current classifier; empty when there is none."""
        return self.models.get("classifier", {})

    def classifier_of(self, extractor: str) -> str:
        """Return the id of the current classifier, if it reads features of `extractor`; '' otherwise."""
        return self.classifier.get("model_id", "") if self.classifier.get("extractor") == extractor else ""


def read_current(bucket: Bucket) -> CurrentModels:
    """Read the pointer."""
    try:
        content, etag = bucket.read_with_etag(layout.CURRENT_MODELS)
    except FileNotFoundError:
        return CurrentModels({}, "")
    return CurrentModels(json.loads(content), etag)


class CurrentModelChanged(RuntimeError):
    """The current model is not the expected one."""


def make_current(bucket: Bucket, *, kind: str, model: dict[str, str], instead_of: str | None = None) -> bool:
    """Point `kind` (e.g. 'pca') to `model`; return False when it does already.

    When another writer was faster, the pointer is read again, so that two runs at a time lose nothing.

    Parameters
    ----------
    model
        Its entry in the pointer; {} for none.
    instead_of
        Id of the model that must be current until then, '' for none. None: whichever is.

    Raises
    ------
    CurrentModelChanged
        Another model than `instead_of` is current; nothing is written.
    """
    for _ in range(MAX_ATTEMPTS):
        current = read_current(bucket)
        existing = current.models.get(kind, {})
        if existing == model:
            return False
        if instead_of is not None and existing.get("model_id", "") != instead_of:
            raise CurrentModelChanged(f"{kind} {existing.get('model_id')} is current instead of {instead_of or 'none'}")
        models = {name: entry for name, entry in {**current.models, kind: model}.items() if entry}
        content = json.dumps(models, indent=1) + "\n"
        if bucket.write_if_unchanged(layout.CURRENT_MODELS, content.encode(), etag=current.etag):
            return True
    raise RuntimeError(
        f"{bucket.uri(layout.CURRENT_MODELS)} was changed by others {MAX_ATTEMPTS} times in a row; clear this task to try again"
    )
