"""Refuses requests that another site's page makes in its visitor's browser, with the cookie of Airflow's login."""

from urllib.parse import urlsplit

from fastapi import HTTPException, Request

MEDIA_TYPE = "application/json"


def check_same_origin(request: Request) -> None:
    """Let through what a page of this plugin sends.

    A form cannot send JSON, and a script of another site may send JSON only after asking. Besides, the browser names the site
    that a request comes from: in Sec-Fetch-Site or, where the connection is not secure, in Origin.

    Raises
    ------
    HTTPException
        403: not JSON, from another site, or from nobody knows where.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != MEDIA_TYPE or not _is_from_own_page(request):
        raise HTTPException(403, "this request does not come from a page of Airflow")


def _is_from_own_page(request: Request) -> bool:
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")
