"""A failed step is explained by the end of its own output, a cancelled one by its cluster."""

import gzip
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.emr import failures
from fruits_airflow.emr.failures import explain_step

pytestmark = pytest.mark.slow

KEYS = {"region_name": "eu-north-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}


@pytest.fixture
def emr() -> Iterator[Stubber]:
    with Stubber(boto3.client("emr", **KEYS)) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "LOG_WAIT_S", 0)


def explain(emr: Stubber, bucket: Bucket) -> tuple[str, list[str]]:
    return explain_step(emr.client, bucket, cluster="j-1", step="s-1", trigger_message="Waiter: max attempts reached")


def add_step(emr: Stubber, state: str, **status: Any) -> None:
    emr.add_response("describe_step", {"Step": {"Status": {"State": state, **status}}}, {"ClusterId": "j-1", "StepId": "s-1"})


def add_cluster(emr: Stubber, **reason: str) -> None:
    emr.add_response("describe_cluster", {"Cluster": {"Status": {"StateChangeReason": reason}}}, {"ClusterId": "j-1"})


def add_log(bucket: Bucket, stderr: bytes, stdout: bytes = b"") -> None:
    bucket.write("logs/j-1/steps/s-1/stderr.gz", gzip.compress(stderr))
    bucket.write("logs/j-1/steps/s-1/stdout.gz", gzip.compress(stdout))


def test_a_failed_step_is_explained_by_emr_and_the_end_of_its_stderr(emr: Stubber, bucket: Bucket) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "Unknown Error.", "Message": "Exception in thread main"})
    add_log(bucket, "\n".join(f"line {number}" for number in range(100)).encode())
    cause, log = explain(emr, bucket)
    assert cause.startswith("step s-1 on cluster j-1 ")
    assert cause.endswith(" FAILED: Exception in thread main")
    assert log == [f"line {number}" for number in range(60, 100)]


def test_a_traceback_on_stdout_is_the_cause(emr: Stubber, bucket: Bucket) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "exit code 1"})
    add_log(bucket, b"12:00 WARN Client", b"Traceback (most recent call last):\n  File x\nValueError: jammed\n")
    cause, log = explain(emr, bucket)
    assert cause.endswith("FAILED: ValueError: jammed; exit code 1")
    assert log == ["12:00 WARN Client", "Traceback (most recent call last):", "  File x", "ValueError: jammed"]


def test_without_a_message_emrs_reason_is_the_cause(emr: Stubber, bucket: Bucket) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "Unknown Error."})
    add_log(bucket, b"TooFewImages: a PCA needs at least 2")
    cause, log = explain(emr, bucket)
    assert cause.endswith("FAILED: Unknown Error.")
    assert log == ["TooFewImages: a PCA needs at least 2"]


def test_bytes_that_are_not_text_do_not_hide_the_rest(emr: Stubber, bucket: Bucket) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "x"})
    add_log(bucket, b"before\n\xff\xfe\nafter")
    assert explain(emr, bucket)[1] == ["before", "\ufffd\ufffd", "after"]


def test_a_log_that_does_not_arrive_is_reported_with_its_address(emr: Stubber, bucket: Bucket) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "Unknown Error."})
    cause, log = explain(emr, bucket)
    assert "FAILED: Unknown Error." in cause
    assert len(log) == 2
    assert log[0].startswith(f"(s3://{bucket.name}/logs/j-1/steps/s-1/stderr.gz cannot be read: ")


def test_a_log_that_may_not_be_read_is_reported_with_the_reason(emr: Stubber, bucket: Bucket, s3: S3Client) -> None:
    stranger = Bucket(bucket.name, session=boto3.Session(aws_access_key_id="x", aws_secret_access_key="x"), client=s3)
    add_step(emr, "FAILED", FailureDetails={"Reason": "x"})
    add_log(bucket, b"")
    assert "403 Forbidden" in explain(emr, stranger)[1][0]


def test_a_cancelled_step_is_explained_by_the_cluster(emr: Stubber, bucket: Bucket) -> None:
    add_step(emr, "CANCELLED", StateChangeReason={"Message": "Job terminated"})
    add_cluster(emr, Code="BOOTSTRAP_FAILURE", Message="On the master instance, bootstrap action 1 failed")
    cause, log = explain(emr, bucket)
    assert cause.endswith(
        "CANCELLED: Job terminated; cluster: BOOTSTRAP_FAILURE On the master instance, bootstrap action 1 failed"
    )
    assert log == []


def test_a_step_without_any_reason_is_reported_with_its_state(emr: Stubber, bucket: Bucket) -> None:
    add_step(emr, "CANCELLED")
    emr.add_response("describe_cluster", {"Cluster": {"Status": {}}}, {"ClusterId": "j-1"})
    cause, log = explain(emr, bucket)
    assert cause.endswith(" CANCELLED: EMR gives no reason")
    assert log == []


def test_a_step_that_still_runs_is_reported_with_the_end_of_the_wait(emr: Stubber, bucket: Bucket) -> None:
    add_step(emr, "RUNNING")
    cause, log = explain(emr, bucket)
    assert "is RUNNING: the wait for it ended (stage_limit_s, or EMR cannot be reached): Waiter: max attempts reached" in cause
    assert log == []
