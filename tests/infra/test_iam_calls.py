"""Requests as IAM sees them."""

import json

import pytest

from tests.infra import iam_calls, recorded
from tests.infra.iam_calls import KEY, Call, object_arn, role_arn

S3 = {"kms:ViaService": "s3.eu-north-1.amazonaws.com"}


def of_s3(method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> list[tuple[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [(call.action, call.resource) for call in iam_calls.of_s3("r", method, path, query, named, body)]


def test_requests_for_objects() -> None:
    one, key = object_arn("a/b c"), KEY
    assert of_s3("GET", "/any/a/b%20c") == [("s3:GetObject", one), ("kms:Decrypt", key)]
    assert of_s3("HEAD", "/any/a/b%20c", "versionId=1") == [("s3:GetObjectVersion", one), ("kms:Decrypt", key)]
    assert of_s3("PUT", "/any/a/b%20c") == [("s3:PutObject", one), ("kms:GenerateDataKey", key)]
    parts = [("s3:PutObject", one), ("kms:GenerateDataKey", key), ("kms:Decrypt", key)]
    assert of_s3("POST", "/any/a/b%20c", "uploads") == parts
    assert of_s3("PUT", "/any/a/b%20c", "partNumber=1&uploadId=u") == parts
    copied = [("s3:GetObject", object_arn("c d")), ("kms:Decrypt", key), ("s3:PutObject", one), ("kms:GenerateDataKey", key)]
    assert of_s3("PUT", "/any/a/b%20c", x_amz_copy_source="any/c%20d") == copied
    assert of_s3("DELETE", "/any/a/b%20c") == [("s3:DeleteObject", one)]
    assert of_s3("DELETE", "/any/a/b%20c", "versionId=1") == [("s3:DeleteObjectVersion", one)]
    assert of_s3("DELETE", "/any/a/b%20c", "uploadId=1") == [("s3:AbortMultipartUpload", one)]
    with pytest.raises(ValueError, match="no action"):
        of_s3("GET", "/any/a", "tagging")


def test_requests_for_the_bucket() -> None:
    bucket = "arn:aws:s3:::my-fruits"
    assert of_s3("GET", "/any", "list-type=2&prefix=raw%2F") == [("s3:ListBucket", bucket)]
    assert of_s3("HEAD", "/any/") == [("s3:ListBucket", bucket)]
    assert of_s3("GET", "/any", "versions&prefix=") == [("s3:ListBucketVersions", bucket)]
    assert of_s3("GET", "/any", "uploads") == [("s3:ListBucketMultipartUploads", bucket)]
    body = b'<Delete xmlns="x"><Object><Key>a</Key></Object><Object><Key>b</Key><VersionId>1</VersionId></Object></Delete>'
    deleted = [("s3:DeleteObject", object_arn("a")), ("s3:DeleteObjectVersion", object_arn("b"))]
    assert of_s3("POST", "/any", "delete", body) == deleted
    with pytest.raises(ValueError, match="no action"):
        of_s3("PUT", "/any", "policy")


def test_a_cluster_needs_more_than_run_job_flow() -> None:
    tags = [{"Key": "project", "Value": "fruits"}, {"Key": "deployment", "Value": "any"}, {"Key": "run", "Value": "r1"}]
    request = {"Name": "fruits r1", "Tags": tags, "AutoTerminationPolicy": {"IdleTimeout": 60}}
    calls = list(iam_calls.of_emr("airflow", "RunJobFlow", json.dumps(request).encode()))
    actions = [call.action.partition(":")[2] for call in calls]
    assert actions == ["RunJobFlow", "AddTags", "PutAutoTerminationPolicy", "PassRole", "PassRole"]
    assert calls[0].context["elasticmapreduce:RequestTag/deployment"] == "fruits"
    assert calls[-1] == Call("airflow", "iam:PassRole", role_arn("emr-node"), {"iam:PassedToService": "ec2.amazonaws.com"})


def test_one_call_is_kept_of_each_part_of_the_bucket() -> None:
    keys = ("raw/b/1.jpg", "raw/a/1.jpg", "tables/features/1", "tables/features/2", "tables/rejects/1")
    calls = [Call("r", "s3:GetObject", object_arn(key)) for key in keys]
    kept = [
        call.resource for call in recorded.set_of_examples([*calls, Call("other", "s3:GetObject", object_arn("raw/b/1.jpg"))])
    ]
    expected = ["raw/a/1.jpg", "tables/features/1", "tables/rejects/1", "raw/b/1.jpg"]
    assert kept == [object_arn(key) for key in expected]
