"""An Airflow home for the tests, set before anything imports airflow, and a bucket on a real S3 server."""

from tests.fixtures import airflow_home  # noqa: F401

# isort: split
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_contract.features_pipeline import FeaturesRunParams
from tests.fixtures import published_run


@pytest.fixture
def bucket(s3: S3Client, bucket: str) -> Bucket:
    """An empty bucket of a real S3 server."""
    return Bucket(bucket, session=boto3.Session(), client=s3)


@pytest.fixture(params=["versioned", "not versioned"])
def versioned_bucket(request: pytest.FixtureRequest, bucket: Bucket, s3: S3Client) -> Bucket:
    if request.param == "versioned":
        s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def settings() -> Settings:
    return Settings(bucket="photos", region="eu-north-1", release="v1", subnets=("subnet-1", "subnet-2"))


@pytest.fixture
def deployment(settings: Settings, bucket: Bucket) -> Settings:
    """Settings for the S3 server's bucket, in which release v1 exists."""
    published_run.add_release(bucket, settings.release)
    return replace(settings, bucket=bucket.name)


@pytest.fixture
def params() -> FeaturesRunParams:
    return FeaturesRunParams(bucket="photos", run="r1", drop="first", release="v2", extractor="e" * 64, pca="p1")
