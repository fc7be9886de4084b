"""boto3, obstore and delta-rs use the credentials of the Airflow connection, and the renewed ones of an assumed role."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client
from obstore.exceptions import BaseError as StorageError

from fruits_airflow.bucket import CREDENTIALS_TTL, Bucket
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import layout
from tests.fixtures.published_run import add_photos, published, run_drop

pytestmark = pytest.mark.slow


@pytest.fixture
def connection(deployment: Settings, s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The S3 server's keys and address in the Airflow connection, and nowhere else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    connection = {
        "conn_type": "aws",
        "login": s3_environment["AWS_ACCESS_KEY_ID"],
        "password": s3_environment["AWS_SECRET_ACCESS_KEY"],
        "extra": {
            "region_name": s3_environment["AWS_REGION"],
            "service_config": {"s3": {"endpoint_url": s3_environment["AWS_ENDPOINT_URL_S3"]}},
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


def check_that_a_run_is_published(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    add_photos(s3, bucket, "first", ["Apple/0.jpg", "Apple/broken.jpg"])
    run_drop(bucket, deployment, "r1", "first", unreadable=["Apple/broken.jpg"])
    add_photos(s3, bucket, "first", ["Apple/0.jpg"], content=b"another photo")
    run_drop(bucket, deployment, "r2", "first")
    photos = ["first/Apple/0.jpg"]
    assert published(bucket) == {"features": photos, "projected": photos, "rejects": ["first/Apple/broken.jpg"]}


@pytest.mark.usefixtures("connection")
def test_a_run_is_published_with_keys_in_the_connection_only(deployment: Settings, s3: S3Client) -> None:
    bucket = Bucket.of(deployment.bucket, region=deployment.region)
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"} & set(os.environ)
    check_that_a_run_is_published(bucket, deployment, s3)


@pytest.mark.usefixtures("connection")
def test_a_run_is_published_with_the_connections_keys_when_the_environment_holds_others(
    deployment: Settings, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    check_that_a_run_is_published(Bucket.of(deployment.bucket, region=deployment.region), deployment, s3)


@pytest.mark.usefixtures("connection")
def test_a_token_of_the_environment_is_not_mixed_with_the_connections_keys(
    deployment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another-token")
    bucket = Bucket.of(deployment.bucket, region=deployment.region)
    assert bucket.read(layout.release_card("v1"))
    with pytest.raises(PermissionError, match=r"AWS_SESSION_TOKEN in the environment does not belong to .*; unset it"):
        bucket.table_options()


@pytest.mark.usefixtures("connection")
def test_missing_credentials_are_an_error(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    with pytest.raises(PermissionError, match=r"there are no AWS credentials for s3://.*; set them in the Airflow connection"):
        Bucket.of(deployment.bucket, region=deployment.region)


class AssumedRole:
    """A session whose keys are wrong until they expire; the renewed ones are those of the S3 server."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.now = datetime.now(UTC)
        self.renewals = 0
        self._environment = environment
        credentials = RefreshableCredentials(
            "old-key", "old-secret", None, self.now + timedelta(hours=1), self._renew, "assume-role", lambda: self.now
        )
        core = botocore.session.get_session()
        core._credentials = credentials  # type: ignore[attr-defined]
        self.session = boto3.Session(botocore_session=core)

    def _renew(self) -> dict[str, str | None]:
        self.renewals += 1
        return {
            "access_key": self._environment["AWS_ACCESS_KEY_ID"],
            "secret_key": self._environment["AWS_SECRET_ACCESS_KEY"],
            "token": None,
            "expiry_time": (self.now + timedelta(hours=1)).isoformat(),
        }


def test_renewed_keys_of_an_assumed_role_are_used_by_all_three(
    deployment: Settings, s3: S3Client, s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fruits_airflow.bucket.CREDENTIALS_TTL", timedelta(0))
    role = AssumedRole(s3_environment)
    bucket = Bucket(deployment.bucket, session=role.session, client=role.session.client("s3"))
    uses: list[Callable[[], object]] = [
        lambda: list(bucket.objects("raw/")),
        lambda: bucket.read(layout.release_card("v1")),
        lambda: PublishedTable(bucket, layout.FEATURES_TABLE).files(),
    ]
    for use in uses:
        with pytest.raises((ClientError, StorageError, OSError)):
            use()
    assert role.renewals == 0

    role.now += timedelta(hours=1)
    check_that_a_run_is_published(bucket, deployment, s3)
    assert role.renewals == 1


def test_obstore_asks_for_keys_again_before_botocore_lets_them_expire() -> None:
    assert timedelta(seconds=RefreshableCredentials._mandatory_refresh_timeout) > CREDENTIALS_TTL


def test_the_token_of_temporary_keys_reaches_delta(bucket: Bucket, s3: S3Client) -> None:
    temporary = boto3.Session("key", "secret", "token")
    options = Bucket(bucket.name, session=temporary, client=s3).table_options()
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    assert [options[name] for name in names] == ["key", "secret", "token"]
    assert "aws_session_token" not in bucket.table_options()
