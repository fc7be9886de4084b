"""The pointer to the current models loses nothing, whoever else writes it."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from fruits_airflow.current import CurrentModels, make_current, read_current
from fruits_contract import layout

pytestmark = pytest.mark.slow

PCA = {"model_id": "p1", "extractor": "e" * 64, "run": "r1"}


class Interrupted:
    """A client before whose every put somebody else may write."""

    def __init__(self, s3: S3Client, others: list[dict[str, Any]]) -> None:
        self._s3, self._others, self.puts = s3, others, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **request: Any) -> Any:
        self.puts += 1
        if self._others:
            content = json.dumps(self._others.pop(0)).encode()
            self._s3.put_object(Bucket=request["Bucket"], Key=request["Key"], Body=content)
        return self._s3.put_object(**request)


def test_there_is_none_at_first(s3: S3Client, bucket: str) -> None:
    assert read_current(s3, bucket) == CurrentModels({}, "")


def test_the_first_and_the_next_model_become_current(s3: S3Client, bucket: str) -> None:
    assert make_current(s3, bucket, kind="pca", model=PCA)
    assert read_current(s3, bucket).pca_of("e" * 64) == "p1"
    assert make_current(s3, bucket, kind="pca", model=PCA | {"model_id": "p2"})
    assert read_current(s3, bucket).pca_of("e" * 64) == "p2"


def test_the_same_model_again_changes_nothing(s3: S3Client, bucket: str) -> None:
    make_current(s3, bucket, kind="pca", model=PCA)
    before = s3.head_object(Bucket=bucket, Key=layout.CURRENT_MODELS)
    assert not make_current(s3, bucket, kind="pca", model=PCA)
    after = s3.head_object(Bucket=bucket, Key=layout.CURRENT_MODELS)
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])


def test_other_kinds_are_kept(s3: S3Client, bucket: str) -> None:
    make_current(s3, bucket, kind="classifier", model={"model_id": "c1"})
    make_current(s3, bucket, kind="pca", model=PCA)
    assert read_current(s3, bucket).models == {"classifier": {"model_id": "c1"}, "pca": PCA}


def test_a_pca_of_another_extractor_is_not_current() -> None:
    assert CurrentModels({"pca": PCA}, "x").pca_of("f" * 64) is None
    assert CurrentModels({}, "").pca_of("e" * 64) is None


@pytest.mark.parametrize("there_before", [False, True])
def test_what_another_writes_in_between_is_kept(s3: S3Client, bucket: str, there_before: bool) -> None:
    if there_before:
        make_current(s3, bucket, kind="pca", model=PCA | {"model_id": "p0"})
    other = {"classifier": {"model_id": "c1"}, "pca": PCA | {"model_id": "p-other"}}
    client = Interrupted(s3, [other])
    assert make_current(client, bucket, kind="pca", model=PCA)
    assert client.puts == 2
    assert read_current(s3, bucket).models == {"classifier": {"model_id": "c1"}, "pca": PCA}


def test_somebody_who_always_comes_first_is_given_up_on(s3: S3Client, bucket: str) -> None:
    client = Interrupted(s3, [{"classifier": {"model_id": str(number)}} for number in range(20)])
    with pytest.raises(RuntimeError, match=r"models/current\.json was changed by others ten times in a row; clear this task"):
        make_current(client, bucket, kind="pca", model=PCA)
    assert client.puts == 10


def test_another_error_is_not_retried(s3: S3Client) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        make_current(s3, "nobody-has-this-bucket", kind="pca", model=PCA)


def test_writers_at_the_same_time_lose_nothing(s3: S3Client, bucket: str) -> None:
    kinds = [f"kind-{number}" for number in range(4)]

    def write(kind: str) -> bool:
        return make_current(boto3.client("s3"), bucket, kind=kind, model={"model_id": kind})

    with ThreadPoolExecutor(len(kinds)) as pool:
        assert all(pool.map(write, kinds))
    assert read_current(s3, bucket).models == {kind: {"model_id": kind} for kind in kinds}
