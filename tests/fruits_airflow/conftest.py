"""An Airflow home for the tests, set before anything imports airflow, and a bucket on a real S3 server."""

import atexit
import os
import shutil
import tempfile
from dataclasses import replace

HOME = tempfile.mkdtemp(prefix="fruits-airflow-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ.update(
    {
        "AIRFLOW_HOME": HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    }
)

import boto3  # noqa: E402
import pytest  # noqa: E402
from mypy_boto3_s3 import S3Client  # noqa: E402

from fruits_airflow.bucket import Bucket  # noqa: E402
from fruits_airflow.settings import Settings  # noqa: E402
from fruits_contract.features_pipeline import FeaturesRunParams  # noqa: E402
from tests.fixtures import published_run  # noqa: E402


@pytest.fixture
def bucket(s3: S3Client, bucket: str) -> Bucket:
    """An empty bucket of a real S3 server."""
    return Bucket(bucket, session=boto3.Session(), client=s3)


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
