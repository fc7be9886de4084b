"""The certificates with which the nodes of a cluster encrypt what they send each other, as EMR reads them from the bucket."""

import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from fruits_contract import layout

VALID_DAYS = 90
RENEWED_DAYS_BEFORE = 60
# The names that EMR expects (EMR Management Guide, "Providing certificates for encrypting data in transit").
PRIVATE_KEY, CHAIN, TRUSTED = "privateKey.pem", "certificateChain.pem", "trustedCertificates.pem"


def ensure(s3: Any, bucket: str, region: str) -> tuple[datetime, bool]:
    """Write new certificates into the bucket unless those there are valid for another 60 days.

    `s3` is a boto3 client.

    Returns
    -------
    datetime, bool
        When those in the bucket expire, and whether they are new. A cluster reads them when it starts.
    """
    expires = _expiry(s3, bucket)
    if expires and expires - datetime.now(UTC) > timedelta(days=RENEWED_DAYS_BEFORE):
        return expires, False
    s3.put_object(Bucket=bucket, Key=layout.EMR_CERTIFICATES, Body=make(region))
    return _expiry(s3, bucket) or datetime.now(UTC), True


def make(region: str, *, now: datetime | None = None) -> bytes:
    """Return a zip archive with a new private key and its certificate, valid for 90 days.

    The certificate signs itself and is for the private names of all EC2 instances in the region.
    """
    now = now or datetime.now(UTC)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    domain = f"*.{region}.compute.internal"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, hashes.SHA256())
    ).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for member, content in {PRIVATE_KEY: private, CHAIN: certificate, TRUSTED: certificate}.items():
            file.writestr(member, content)
    return archive.getvalue()


def expiry(archive: bytes) -> datetime:
    """Return when the certificate in the archive expires."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return x509.load_pem_x509_certificate(file.read(CHAIN)).not_valid_after_utc


def _expiry(s3: Any, bucket: str) -> datetime | None:
    try:
        return expiry(s3.get_object(Bucket=bucket, Key=layout.EMR_CERTIFICATES)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None
