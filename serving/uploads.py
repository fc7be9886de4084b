"""Reads the photo and the fields out of a request, within limits of size and time, in memory only."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from serving.problems import Problem
from serving.settings import Settings

FIELD = "photo"


class _InMemoryParser(MultiPartParser):
    """Starlette's parser, which puts larger files on the disk by default; the size is limited before it reads them."""

    spool_max_size = 2**62


@dataclass(frozen=True)
class Upload:
    """The bytes of the photo, and the other fields of the form."""

    photo: bytes
    fields: dict[str, str]


async def read_upload(request: Request, settings: Settings, *, fields: int = 0) -> Upload:
    """Return the multipart field `photo`, and up to `fields` others.

    Raises
    ------
    Problem
        Not a multipart request with one such file, too large, or too slow.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Problem(415, "not_multipart", f"expected multipart/form-data with one file in the field {FIELD}")
    body = await read_body(request, settings, max_bytes=settings.max_bytes)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemoryParser(request.headers, stream(), max_files=1, max_fields=fields)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Problem(400, "malformed", f"the multipart body cannot be read: {error}") from error
    photo = form.get(FIELD)
    if not isinstance(photo, UploadFile):
        raise Problem(400, "no_photo", f"there is no file in the field {FIELD}")
    return Upload(await photo.read(), {name: value for name, value in form.items() if isinstance(value, str)})


async def read_body(request: Request, settings: Settings, *, max_bytes: int) -> bytes:
    """Return the body of a request; raise `Problem` where it is too large, too slow, or ends too early."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(settings.read_timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except ClientDisconnect as error:
        raise Problem(400, "disconnected", "the client closed the connection before the request was complete") from error
    except TimeoutError as error:
        raise Problem(408, "too_slow", f"the request did not arrive within {settings.read_timeout_s:g} s") from error
    return bytes(body)


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "too_large", f"the request is larger than the limit of {max_bytes:,} bytes")
