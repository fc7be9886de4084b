"""The bucket is deleted with every version, and only that of the deployment."""

import boto3
import pytest
from mypy_boto3_s3 import S3Client

from infra.bucket import check_owner, delete, exists
from infra.stacks import Deployment, DeploymentError


@pytest.fixture
def versioned(s3: S3Client) -> str:
    """A bucket with two versions of a key, a deleted key and an unfinished upload."""
    name = "to-be-deleted"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"first", b"second"):
        s3.put_object(Bucket=name, Key="raw/twice", Body=content)
    s3.put_object(Bucket=name, Key="raw/gone", Body=b"x")
    s3.delete_object(Bucket=name, Key="raw/gone")
    s3.create_multipart_upload(Bucket=name, Key="raw/unfinished")
    return name


def test_all_versions_go_with_the_bucket(s3: S3Client, versioned: str) -> None:
    assert exists(s3, versioned)
    assert delete(boto3.client("s3"), versioned) == 4
    assert not exists(s3, versioned)


def test_another_bucket_is_left_alone(s3: S3Client, bucket: str) -> None:
    deployment = Deployment(stack="fruits", region="eu-north-1")
    with pytest.raises(DeploymentError, match="does not have the tags of the deployment fruits"):
        check_owner(s3, bucket, deployment)
    tags = [{"Key": "project", "Value": "fruits"}, {"Key": "deployment", "Value": "other"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})  # type: ignore[typeddict-item]
    with pytest.raises(DeploymentError, match="is not deleted"):
        check_owner(s3, bucket, deployment)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": deployment.tags})  # type: ignore[typeddict-item]
    check_owner(s3, bucket, deployment)
