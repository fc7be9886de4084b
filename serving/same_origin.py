"""Refuses requests that another site's page makes in its visitor's browser."""

from urllib.parse import urlsplit

from fastapi import Request

from serving.problems import Problem


def check_same_origin(request: Request) -> None:
    """Accept requests from the service's own page and from non-browser clients.

    A browser names the site that a request comes from, in Sec-Fetch-Site or, older ones, in Origin.

    Raises
    ------
    Problem
        The request comes from another site.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    is_own = site in ("same-origin", "none") if site else origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not is_own:
        raise Problem(403, "cross_site", "this request comes from another site")
