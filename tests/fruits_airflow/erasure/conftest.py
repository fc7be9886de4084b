"""A bucket with a published drop, some of whose photos were contributed."""

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from tests.fixtures import contributed_drop
from tests.fixtures.contributed_drop import Contributed


@pytest.fixture
def contributed(bucket: Bucket, deployment: Settings, s3: S3Client) -> Contributed:
    return contributed_drop.fill(bucket, deployment, s3)
