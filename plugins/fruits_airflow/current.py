"""`models/current.json`: which PCA is current, rewritten only under the condition that nobody else did in between.

It must not know how a model is made or used.
"""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from fruits_contract import layout


@dataclass(frozen=True)
class CurrentModels:
    """The pointer's content and the ETag it was read with ('' when there is none yet)."""

    models: dict[str, dict[str, str]]
    etag: str

    def pca_of(self, extractor: str) -> str | None:
        """Return the id of the current PCA, if it was fitted on features of `extractor`."""
        pca = self.models.get("pca", {})
        return pca.get("model_id") if pca.get("extractor") == extractor else None


def read_current(s3: Any, bucket: str) -> CurrentModels:
    """Read the pointer; `s3` is a boto3 client."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=layout.CURRENT_MODELS)
    except s3.exceptions.NoSuchKey:
        return CurrentModels({}, "")
    return CurrentModels(json.loads(answer["Body"].read()), answer["ETag"])


def make_current(s3: Any, bucket: str, *, kind: str, model: dict[str, str]) -> bool:
    """Point `kind` (e.g. 'pca') to `model`; return False when it does already.

    Another writer in between is seen by S3 (412, or 409 while both are under way); the pointer is then read again, so that
    two runs at a time lose nothing.
    """
    for _ in range(10):
        current = read_current(s3, bucket)
        if current.models.get(kind) == model:
            return False
        condition = {"IfMatch": current.etag} if current.etag else {"IfNoneMatch": "*"}
        content = json.dumps({**current.models, kind: model}, indent=1) + "\n"
        try:
            s3.put_object(Bucket=bucket, Key=layout.CURRENT_MODELS, Body=content.encode(), **condition)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                continue
            raise
        return True
    raise RuntimeError(
        f"s3://{bucket}/{layout.CURRENT_MODELS} was changed by others ten times in a row; clear this task to try again"
    )
