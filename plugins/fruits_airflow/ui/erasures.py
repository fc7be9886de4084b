"""The page of erasures: requests that wait, and the certificates of those that are done."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.certificate import read_certificate
from fruits_airflow.erasure.requests import pending_requests
from fruits_airflow.ui import access
from fruits_airflow.ui.pages import render
from fruits_airflow.ui.project import BucketDep
from fruits_contract import layout

READERS = 16

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/erasures", dependencies=access.READS_RUNS)
def erasures(bucket: BucketDep) -> str:
    """Return the page of all erasures."""
    pending = sorted(pending_requests(bucket).requests, key=lambda request: request.requested_at)
    return render("erasures.html", root="", pending=pending, certificates=_certificates(bucket))


@router.get("/erasures/{request}/certificate.html", dependencies=access.READS_RUNS)
def certificate_document(request: str, bucket: BucketDep) -> Response:
    """Return a certificate itself."""
    content = bucket.read(layout.erasure_certificate_page(layout.check_name(request, what="request")))
    return Response(content, media_type="text/html", headers={"Content-Security-Policy": access.DOCUMENT_POLICY})


def _certificates(bucket: Bucket) -> list[dict[str, Any]]:
    """Return the certificates, that of the latest erasure first."""
    requests = [
        item.key.removeprefix(layout.ERASURE_CERTIFICATES).removesuffix(".json")
        for item in bucket.objects(layout.ERASURE_CERTIFICATES)
        if item.key.endswith(".json")
    ]
    with ThreadPoolExecutor(READERS) as readers:
        certificates = [found for found in readers.map(lambda request: read_certificate(bucket, request), requests) if found]
    return sorted(certificates, key=lambda certificate: str(certificate["erasures"][0]["finished_at"]), reverse=True)
