"""An Airflow home of its own, set before anything imports airflow, and a real S3 server."""

import atexit
import os
import shutil
import tempfile

HOME = tempfile.mkdtemp(prefix="fruits-airflow-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ.update(
    {
        "AIRFLOW_HOME": HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    }
)

import pytest  # noqa: E402

from fruits_airflow.settings import Settings  # noqa: E402
from fruits_contract.features_pipeline import FeaturesRunParams  # noqa: E402
from tests.release.s3_server import bucket, s3, s3_environment  # noqa: E402

__all__ = ["bucket", "s3", "s3_environment"]


@pytest.fixture
def settings() -> Settings:
    return Settings(bucket="photos", region="eu-north-1", release="v1", subnets=("subnet-1", "subnet-2"))


@pytest.fixture
def params() -> FeaturesRunParams:
    return FeaturesRunParams(bucket="photos", run="r1", drop="first", release="v2", extractor="e" * 64, pca="p1")
