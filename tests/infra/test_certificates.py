"""The certificates of clusters are what EMR reads, and are renewed in time."""

import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from mypy_boto3_s3 import S3Client

from fruits_contract import layout
from infra import certificates


def _members(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_the_archive_has_the_files_of_emr_and_they_belong_together() -> None:
    members = _members(certificates.make("eu-north-1"))
    assert set(members) == {"privateKey.pem", "certificateChain.pem", "trustedCertificates.pem"}
    certificate = x509.load_pem_x509_certificate(members["certificateChain.pem"])
    key = serialization.load_pem_private_key(members["privateKey.pem"], password=None)
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(members["trustedCertificates.pem"]))
    assert certificate.subject.rfc4514_string() == "CN=*.eu-north-1.compute.internal"


def test_two_archives_share_no_key() -> None:
    keys = {_members(certificates.make("eu-north-1"))["privateKey.pem"] for _ in range(2)}
    assert len(keys) == 2


@pytest.mark.parametrize(("age_days", "renewed"), [(0, False), (29, False), (31, True), (91, True)])
def test_certificates_are_renewed_when_less_than_sixty_days_are_left(
    s3: S3Client, bucket: str, age_days: int, renewed: bool
) -> None:
    made = datetime.now(UTC) - timedelta(days=age_days)
    archive = certificates.make("eu-north-1", now=made)
    s3.put_object(Bucket=bucket, Key=layout.EMR_CERTIFICATES, Body=archive)
    expires, are_new = certificates.ensure(s3, bucket, "eu-north-1")
    assert are_new is renewed
    assert (s3.get_object(Bucket=bucket, Key=layout.EMR_CERTIFICATES)["Body"].read() == archive) is not renewed
    assert expires - datetime.now(UTC) > timedelta(days=59)


def test_certificates_are_made_where_there_are_none(s3: S3Client, bucket: str) -> None:
    expires, are_new = certificates.ensure(s3, bucket, "eu-north-1")
    assert are_new and timedelta(days=89) < expires - datetime.now(UTC) < timedelta(days=91)


def test_the_template_names_the_same_object() -> None:
    template = (Path(certificates.__file__).parent / "emr.yaml").read_text()
    assert f'S3Object: !Sub "s3://${{BucketName}}/{layout.EMR_CERTIFICATES}"' in template
