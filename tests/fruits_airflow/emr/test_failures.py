"""A failed step is explained with its own last words, a cancelled one with the cluster's."""

import gzip
import io
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from fruits_airflow.emr import failures
from fruits_airflow.emr.failures import explain_step

KEYS = {"region_name": "eu-north-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
STDERR, STDOUT = ({"Bucket": "photos", "Key": f"logs/j-1/steps/s-1/{name}.gz"} for name in ("stderr", "stdout"))


@pytest.fixture
def emr() -> Iterator[Stubber]:
    with Stubber(boto3.client("emr", **KEYS)) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setattr(failures, "LOG_WAIT", {"Delay": 0, "MaxAttempts": 2})
    with Stubber(boto3.client("s3", **KEYS)) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def explain(emr: Stubber, s3: Stubber) -> tuple[str, list[str]]:
    return explain_step(emr.client, s3.client, bucket="photos", cluster="j-1", step="s-1")


def add_step(emr: Stubber, state: str, **status: Any) -> None:
    emr.add_response("describe_step", {"Step": {"Status": {"State": state, **status}}}, {"ClusterId": "j-1", "StepId": "s-1"})


def add_cluster(emr: Stubber, **reason: str) -> None:
    emr.add_response("describe_cluster", {"Cluster": {"Status": {"StateChangeReason": reason}}}, {"ClusterId": "j-1"})


def add_log(s3: Stubber, stderr: bytes, stdout: bytes = b"") -> None:
    s3.add_client_error("head_object", "404", http_status_code=404, expected_params=STDERR)
    for place, content in ((STDERR, stderr), (STDOUT, gzip.compress(stdout))):
        s3.add_response("head_object", {"ResponseMetadata": {"HTTPStatusCode": 200}}, place)
        s3.add_response("get_object", {"Body": StreamingBody(io.BytesIO(content), len(content))}, place)


def test_a_failed_step_is_explained_by_emr_and_the_end_of_its_stderr(emr: Stubber, s3: Stubber) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "Unknown Error.", "Message": "Exception in thread main"})
    add_log(s3, gzip.compress("\n".join(f"line {number}" for number in range(100)).encode()))
    line, log = explain(emr, s3)
    assert line.startswith("step s-1 on cluster j-1 ")
    assert line.endswith(" FAILED: Exception in thread main")
    assert log == [f"line {number}" for number in range(60, 100)]


def test_a_traceback_on_stdout_is_the_cause(emr: Stubber, s3: Stubber) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "exit code 1"})
    add_log(s3, gzip.compress(b"12:00 WARN Client"), b"Traceback (most recent call last):\n  File x\nValueError: jammed\n")
    line, log = explain(emr, s3)
    assert line.endswith("FAILED: ValueError: jammed; exit code 1")
    assert log == ["12:00 WARN Client", "Traceback (most recent call last):", "  File x", "ValueError: jammed"]


def test_without_a_message_emrs_reason_is_told(emr: Stubber, s3: Stubber) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "Unknown Error."})
    add_log(s3, gzip.compress(b"TooFewImages: a PCA needs at least 2"))
    line, log = explain(emr, s3)
    assert line.endswith("FAILED: Unknown Error.")
    assert log == ["TooFewImages: a PCA needs at least 2"]


def test_bytes_that_are_no_text_do_not_hide_the_rest(emr: Stubber, s3: Stubber) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "x"})
    add_log(s3, gzip.compress(b"before\n\xff\xfe\nafter"))
    assert explain(emr, s3)[1] == ["before", "\ufffd\ufffd", "after"]


def test_a_log_that_does_not_come_is_told_with_its_place(emr: Stubber, s3: Stubber) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "Unknown Error."})
    for place in (STDERR, STDERR, STDOUT, STDOUT):
        s3.add_client_error("head_object", "404", http_status_code=404, expected_params=place)
    line, log = explain(emr, s3)
    assert "FAILED: Unknown Error." in line
    assert len(log) == 2
    assert log[0].startswith("(s3://photos/logs/j-1/steps/s-1/stderr.gz cannot be read: ")


def test_a_log_that_may_not_be_read_is_told_with_the_reason(emr: Stubber, s3: Stubber) -> None:
    add_step(emr, "FAILED", FailureDetails={"Reason": "x"})
    for place in (STDERR, STDOUT):
        s3.add_response("head_object", {"ResponseMetadata": {"HTTPStatusCode": 200}}, place)
        s3.add_client_error("get_object", "AccessDenied", "no", http_status_code=403, expected_params=place)
    assert "AccessDenied" in explain(emr, s3)[1][0]


def test_a_cancelled_step_is_explained_by_the_cluster(emr: Stubber, s3: Stubber) -> None:
    add_step(emr, "CANCELLED", StateChangeReason={"Message": "Job terminated"})
    add_cluster(emr, Code="BOOTSTRAP_FAILURE", Message="On the master instance, bootstrap action 1 failed")
    line, log = explain(emr, s3)
    assert line.endswith(
        "CANCELLED: Job terminated; cluster: BOOTSTRAP_FAILURE On the master instance, bootstrap action 1 failed"
    )
    assert log == []


def test_a_step_that_nobody_can_explain_says_its_state(emr: Stubber, s3: Stubber) -> None:
    add_step(emr, "CANCELLED")
    emr.add_response("describe_cluster", {"Cluster": {"Status": {}}}, {"ClusterId": "j-1"})
    line, log = explain(emr, s3)
    assert " CANCELLED: " in line
    assert log == []
