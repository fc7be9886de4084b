"""What IAM checks for a request to S3 or EMR: its action, its resource and the condition keys of the request."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

ACCOUNT, REGION = "123456789012", "eu-north-1"
STACK, BUCKET = "fruits", "my-fruits"
OWN_CLUSTER = {"elasticmapreduce:ResourceTag/deployment": STACK}
CLUSTER = f"arn:aws:elasticmapreduce:{REGION}:{ACCOUNT}:cluster/j-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
# What one request needs beside the action of its name, by the field of RunJobFlow that requires it.
OF_RUN_JOB_FLOW = {
    "Tags": "AddTags",
    "AutoTerminationPolicy": "PutAutoTerminationPolicy",
    "ManagedScalingPolicy": "PutManagedScalingPolicy",
}
OF_BUCKET = {"versions": "ListBucketVersions", "uploads": "ListBucketMultipartUploads", "location": "GetBucketLocation"}


@dataclass(frozen=True)
class Call:
    """One action on one resource; `context` holds the condition keys that the request sets."""

    role: str
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def of_s3(role: str, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Iterator[Call]:
    """Yield what IAM checks for a request to S3 in path style, with the use of the bucket's KMS key.

    Raises
    ------
    ValueError
        For a request that has no action here yet.
    """
    key = unquote(path).lstrip("/").partition("/")[2]
    found = parse_qs(query, keep_blank_values=True)
    if not key:
        yield from _of_bucket(role, method, found, body)
        return
    if method == "PUT":
        if source := headers.get("x-amz-copy-source"):
            yield from _read(role, "GetObject", unquote(source).lstrip("/").partition("/")[2])
        yield from _written(role, key, is_multipart="partNumber" in found)
    elif method == "POST" and ("uploads" in found or "uploadId" in found):
        yield from _written(role, key, is_multipart=True)
    elif method == "DELETE":
        action = "AbortMultipartUpload" if "uploadId" in found else "DeleteObject"
        yield _object(role, "DeleteObjectVersion" if "versionId" in found else action, key)
    elif method in ("GET", "HEAD") and found.keys() <= {"versionId", "partNumber", "x-id"}:
        yield from _read(role, "GetObjectVersion" if "versionId" in found else "GetObject", key)
    else:
        raise ValueError(f"no action is known for {method} {path}?{query}")


def of_emr(role: str, operation: str, body: bytes) -> Iterator[Call]:
    """Yield what IAM checks for a request to EMR."""
    if operation == "RunJobFlow":
        yield from _of_run_job_flow(role, json.loads(body))
    elif operation == "ListClusters":
        yield Call(role, "elasticmapreduce:ListClusters", "*")
    else:
        yield Call(role, f"elasticmapreduce:{operation}", CLUSTER, OWN_CLUSTER)


def role_arn(role: str) -> str:
    """Return the ARN of one of the stack's roles."""
    return f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{role}"


def object_arn(key: str) -> str:
    """Return the ARN of an object of the bucket."""
    return f"arn:aws:s3:::{BUCKET}/{key}"


def _of_run_job_flow(role: str, request: dict[str, Any]) -> Iterator[Call]:
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
    if tags.get("deployment"):
        tags["deployment"] = STACK  # that of the embedded services is their bucket
    context = {f"elasticmapreduce:RequestTag/{name}": tags[name] for name in ("project", "deployment") if name in tags}
    yield Call(role, "elasticmapreduce:RunJobFlow", "*", context)
    for name, action in OF_RUN_JOB_FLOW.items():
        if name in request:
            yield Call(role, f"elasticmapreduce:{action}", CLUSTER, context if name == "Tags" else {})
    for passed, service in ("emr-service", "elasticmapreduce.amazonaws.com"), ("emr-node", "ec2.amazonaws.com"):
        yield Call(role, "iam:PassRole", role_arn(passed), {"iam:PassedToService": service})


def _of_bucket(role: str, method: str, query: dict[str, list[str]], body: bytes) -> Iterator[Call]:
    arn = f"arn:aws:s3:::{BUCKET}"
    if method == "POST" and "delete" in query:
        for item in ElementTree.fromstring(body).iter():
            if item.tag.rpartition("}")[2] == "Object":
                parts = {part.tag.rpartition("}")[2]: part.text or "" for part in item}
                yield _object(role, "DeleteObjectVersion" if parts.get("VersionId") else "DeleteObject", parts["Key"])
        return
    if method not in ("GET", "HEAD"):
        raise ValueError(f"no action is known for {method} of a bucket with {sorted(query)}")
    action = next((OF_BUCKET[name] for name in OF_BUCKET if name in query), "ListBucket")
    prefix = {"s3:prefix": query["prefix"][0]} if query.get("prefix") else {}
    yield Call(role, f"s3:{action}", arn, prefix)


def _read(role: str, action: str, key: str) -> Iterator[Call]:
    yield _object(role, action, key)
    yield _decryption(role, "kms:Decrypt")


def _written(role: str, key: str, *, is_multipart: bool) -> Iterator[Call]:
    yield _object(role, "PutObject", key)
    yield _decryption(role, "kms:GenerateDataKey")
    if is_multipart:  # S3 reads the parts to put them together
        yield _decryption(role, "kms:Decrypt")


def _object(role: str, action: str, key: str) -> Call:
    return Call(role, f"s3:{action}", object_arn(key))


def _decryption(role: str, action: str) -> Call:
    return Call(role, action, KEY, {"kms:ViaService": f"s3.{REGION}.amazonaws.com"})
