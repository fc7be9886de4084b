"""The page of erasures lists what waits and what is done; a certificate is shown as a document of its own."""

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.erase import erase_contributions
from fruits_airflow.erasure.requests import write_request
from fruits_contract import contributions

pytestmark = pytest.mark.slow


def test_a_request_waits_and_becomes_a_certificate(reader: TestClient, bucket: Bucket) -> None:
    assert 'href="erasures"' in reader.get("/").text
    now = datetime.now(UTC)
    contribution = contributions.new_id(now)
    write_request(bucket, contribution=contribution, now=now)
    page = reader.get("/erasures").text
    assert f"<td>{contribution}</td>" in page
    assert "None yet." in page
    erase_contributions(bucket, is_run_under_way=lambda: False)
    page = reader.get("/erasures").text
    assert "None. Requests come from" in page
    address = f"erasures/{contribution}/certificate.html"
    assert f'href="{address}"' in page
    certificate = reader.get(f"/{address}")
    assert "Certificate of erasure" in certificate.text
    assert certificate.headers["Content-Security-Policy"].startswith("sandbox")


def test_the_page_names_no_contributor(reader: TestClient, bucket: Bucket) -> None:
    write_request(bucket, contributor="a" * 64, now=datetime.now(UTC))
    assert "a" * 64 not in reader.get("/erasures").text


def test_a_certificate_that_does_not_exist_is_not_found(reader: TestClient) -> None:
    assert reader.get("/erasures/e1/certificate.html").status_code == 404
    assert reader.get("/erasures/..%2f..%2fx/certificate.html").status_code == 404
