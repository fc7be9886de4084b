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


def read_current(bucket: Bucket) -> CurrentModels:
    """Read the pointer."""
    try:
        content, etag = bucket.read_with_etag(layout.CURRENT_MODELS)
    except FileNotFoundError:
        return CurrentModels({}, "")
    return CurrentModels(json.loads(content), etag)


def make_current(bucket: Bucket, *, kind: str, model: dict[str, str]) -> bool:
    """Point `kind` (e.g. 'pca') to `model`; return False when it does already.

    When another writer was faster, the pointer is read again, so that two runs at a time lose nothing.
    """
    for _ in range(MAX_ATTEMPTS):
        current = read_current(bucket)
        if current.models.get(kind) == model:
            return False
        content = json.dumps({**current.models, kind: model}, indent=1) + "\n"
        if bucket.write_if_unchanged(layout.CURRENT_MODELS, content.encode(), etag=current.etag):
            return True
    raise RuntimeError(
        f"{bucket.uri(layout.CURRENT_MODELS)} was changed by others {MAX_ATTEMPTS} times in a row; clear this task to try again"
    )
