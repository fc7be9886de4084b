"""The page of what is kept shows the last check, and says when there was none."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from fastapi.testclient import TestClient

from fruits_airflow.bucket import Bucket
from fruits_airflow.retention import LIMIT, enforce_retention

pytestmark = pytest.mark.slow


def test_it_is_linked_from_the_page_of_all_runs(reader: TestClient) -> None:
    assert 'href="retention"' in reader.get("/").text
    assert "Not checked yet" in reader.get("/retention").text


def test_it_shows_the_oldest_object_and_what_was_deleted(reader: TestClient, bucket: Bucket) -> None:
    bucket.write("raw/first/Apple/0.jpg", b"photo")
    now = datetime.now(UTC)
    enforce_retention(bucket, now=now)
    page = reader.get("/retention").text
    assert f"<td>{now:%Y-%m-%d} " in page
    assert "Nothing was kept for too long" in page
    with pytest.raises(AirflowFailException):
        enforce_retention(bucket, now=now + LIMIT + timedelta(seconds=1))
    assert "Something had been kept for too long" in reader.get("/retention").text
