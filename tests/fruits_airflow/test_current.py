"""The pointer to the current models loses nothing, whoever else writes it."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from obstore.exceptions import BaseError as StorageError

from fruits_airflow.bucket import Bucket
from fruits_airflow.current import MAX_ATTEMPTS, CurrentModels, make_current, read_current
from fruits_contract import layout

pytestmark = pytest.mark.slow

PCA = {"model_id": "p1", "extractor": "e" * 64, "run": "r1"}


class ContestedBucket(Bucket):
    """A bucket in which somebody else writes the pointer before every write of ours."""

    def __init__(self, bucket: Bucket, s3: S3Client, others: list[dict[str, Any]]) -> None:
        super().__init__(bucket.name, session=boto3.Session(), client=s3)
        self.others = others
        self.writes = 0

    def write_if_unchanged(self, key: str, content: bytes, *, etag: str) -> bool:
        self.writes += 1
        if self.others:
            self.write(key, json.dumps(self.others.pop(0)).encode())
        return super().write_if_unchanged(key, content, etag=etag)


def test_there_is_none_at_first(bucket: Bucket) -> None:
    assert read_current(bucket) == CurrentModels({}, "")


def test_a_model_becomes_current_and_then_another(bucket: Bucket) -> None:
    assert make_current(bucket, kind="pca", model=PCA)
    assert read_current(bucket).pca_of("e" * 64) == "p1"
    assert make_current(bucket, kind="pca", model=PCA | {"model_id": "p2"})
    assert read_current(bucket).pca_of("e" * 64) == "p2"


def test_the_same_model_again_changes_nothing(bucket: Bucket, s3: S3Client) -> None:
    make_current(bucket, kind="pca", model=PCA)
    before = s3.head_object(Bucket=bucket.name, Key=layout.CURRENT_MODELS)
    assert not make_current(bucket, kind="pca", model=PCA)
    after = s3.head_object(Bucket=bucket.name, Key=layout.CURRENT_MODELS)
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])


def test_other_kinds_are_kept(bucket: Bucket) -> None:
    make_current(bucket, kind="classifier", model={"model_id": "c1"})
    make_current(bucket, kind="pca", model=PCA)
    assert read_current(bucket).models == {"classifier": {"model_id": "c1"}, "pca": PCA}


def test_a_pca_of_another_extractor_is_not_current() -> None:
    assert CurrentModels({"pca": PCA}, "x").pca_of("f" * 64) is None
    assert CurrentModels({}, "").pca_of("e" * 64) is None


@pytest.mark.parametrize("exists_before", [False, True])
def test_what_another_writes_in_between_is_kept(bucket: Bucket, s3: S3Client, exists_before: bool) -> None:
    if exists_before:
        make_current(bucket, kind="pca", model=PCA | {"model_id": "p0"})
    other = {"classifier": {"model_id": "c1"}, "pca": PCA | {"model_id": "p-other"}}
    contested = ContestedBucket(bucket, s3, [other])
    assert make_current(contested, kind="pca", model=PCA)
    assert contested.writes == 2
    assert read_current(bucket).models == {"classifier": {"model_id": "c1"}, "pca": PCA}


def test_a_pointer_that_others_keep_changing_is_given_up(bucket: Bucket, s3: S3Client) -> None:
    contested = ContestedBucket(bucket, s3, [{"classifier": {"model_id": str(number)}} for number in range(20)])
    with pytest.raises(RuntimeError, match=r"models/current\.json was changed by others 10 times in a row; clear this task"):
        make_current(contested, kind="pca", model=PCA)
    assert contested.writes == MAX_ATTEMPTS


def test_another_error_is_not_retried(bucket: Bucket, s3: S3Client) -> None:
    stranger = Bucket(bucket.name, session=boto3.Session(aws_access_key_id="x", aws_secret_access_key="x"), client=s3)
    with pytest.raises(StorageError, match="403 Forbidden"):
        make_current(stranger, kind="pca", model=PCA)


def test_writers_at_the_same_time_lose_nothing(bucket: Bucket) -> None:
    kinds = [f"kind-{number}" for number in range(4)]
    with ThreadPoolExecutor(len(kinds)) as pool:
        assert all(pool.map(lambda kind: make_current(bucket, kind=kind, model={"model_id": kind}), kinds))
    assert read_current(bucket).models == {kind: {"model_id": kind} for kind in kinds}
