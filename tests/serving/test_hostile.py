"""Ten thousand photos, one in twenty of them hostile: every good one is answered, none makes an error, memory stays flat.

Every other one is sent to be contributed, half of those without consent: none of these is stored.
"""

import io
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from mypy_boto3_s3 import S3Client
from PIL import Image

from fruits_contract import layout
from tests.serving.conftest import CONSENT, CONTRIBUTOR_KEY, VARIETIES, Service, Start

pytestmark = pytest.mark.slow

REQUESTS = 10_000
HOSTILE_EVERY = 20
CLIENTS = 8
LARGEST_GROWTH = 1.15


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)  # type: ignore[arg-type]
    return content.getvalue()


def png_bomb(side: int, *, rows: int | None = None) -> bytes:
    """Return a small PNG that states `side` x `side` pixels, all black; it has as many, or fewer `rows`."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress((b"\0" + bytes(side // 8)) * (rows or side), 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def hostile(photos: dict[str, list[bytes]]) -> list[bytes]:
    """Bodies that are no good photos, of many kinds."""
    good = photos["Cherry 3"][0]
    random = np.random.default_rng(5)
    damaged = []
    for _ in range(40):
        content = bytearray(good)
        for position in random.integers(0, len(content), 30):
            content[position] = random.integers(0, 256)
        damaged.append(bytes(content))
    photo = Image.open(io.BytesIO(good))
    frames = [Image.new("P", (64, 64), color) for color in range(20)]
    return [
        *damaged,
        *(good[:length] for length in (1, 2, 3, 10, 100, 1000, len(good) - 2)),
        b"",
        b"<html>no photo</html>",
        b"%PDF-1.4\n",
        b"\0" * 5000,
        random.bytes(5000),
        png_bomb(8000),
        png_bomb(30_000),
        png_bomb(2**20, rows=100),
        encoded(Image.new("RGB", (1, 1)), "PNG"),
        encoded(Image.new("RGB", (20_000, 3)), "JPEG"),
        encoded(photo.convert("CMYK"), "JPEG"),
        encoded(photo.convert("L"), "PNG"),
        encoded(photo.convert("RGBA"), "PNG"),
        encoded(Image.new("I;16", (50, 50)), "PNG"),
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        encoded(photo, "JPEG", exif=b"Exif\0\0" + random.bytes(200)),
        encoded(photo, "JPEG", icc_profile=random.bytes(500)),
        encoded(photo, "ICO"),
        b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8 " + random.bytes(90),
        b"GIF89a" + b"\xff" * 40,
        b"II*\0" + b"\xff" * 60,
        b"x" * 10_000_001,
    ]


def test_ten_thousand_requests(
    start: Start, doubting_models: str, s3: S3Client, photos: dict[str, list[bytes]], hostile: list[bytes]
) -> None:
    service = start(doubting_models, contributor_key=CONTRIBUTOR_KEY, contributions_per_day=REQUESTS)
    stored_before = stored(s3, doubting_models)
    kept: list[str] = []
    good: Counter[int] = Counter()
    bad: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    wrong: list[tuple[str, str]] = []

    def ask(number: int) -> None:
        if number % HOSTILE_EVERY == 0:
            body = hostile[number // HOSTILE_EVERY % len(hostile)]
            response = service.predict(body) if number % (2 * HOSTILE_EVERY) else service.contribute(body)
            bad[response.status_code] += 1
            kept.extend(receipts_of(response))
            return
        variety = VARIETIES[number % len(VARIETIES)]
        photo = photos[variety][number % 16]
        if number % 4 == 3:
            refused[service.contribute(photo, {**CONSENT, "consent": ""}).status_code] += 1
            return
        response = service.contribute(photo) if number % 4 == 1 else service.predict(photo)
        good[response.status_code] += 1
        kept.extend(receipts_of(response))
        answer = response.json() if response.is_success else {}
        if answer and (found := answer.get("answer", answer)["variety"]["name"]) != variety:
            wrong.append((variety, found))

    with slow_clients(service), ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, range(REQUESTS // 5)))
        early_mb = memory_mb(service)
        list(pool.map(ask, range(REQUESTS // 5, REQUESTS)))
    assert refused == {422: REQUESTS // 4}
    assert good == {200: REQUESTS - REQUESTS // HOSTILE_EVERY - REQUESTS // 4}
    assert wrong == []
    assert bad.total() == REQUESTS // HOSTILE_EVERY
    assert {status // 100 for status in bad} <= {2, 4}
    assert memory_mb(service) <= LARGEST_GROWTH * early_mb

    assert len(kept) >= REQUESTS // 4
    assert stored(s3, doubting_models) - stored_before == set(kept), "what is stored is what there are receipts for"


def receipts_of(response: httpx.Response) -> list[str]:
    """Return the id of a photo that was kept; none for any other answer."""
    receipt = response.json().get("receipt") if response.is_success else None
    return [receipt["contribution"]] if receipt else []


def stored(s3: S3Client, bucket: str) -> set[str]:
    """Return the contributions of which there is anything in the bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=layout.CONTRIBUTIONS)
    return {item["Key"].rpartition("/")[2].partition(".")[0] for page in pages for item in page.get("Contents", [])}


def memory_mb(service: Service) -> float:
    process = psutil.Process(service.process.pid)
    return sum(each.memory_full_info().uss for each in (process, *process.children(recursive=True))) / 2**20


class slow_clients:
    """Clients that begin a request and then send a byte now and then."""

    def __init__(self, service: Service, *, count: int = 20) -> None:
        host, port = service.url.removeprefix("http://").split(":")
        self._address, self._count = (host, int(port)), count
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _drip(self) -> None:
        head = (
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 9999\r\n\r\n"
        )
        clients = [socket.create_connection(self._address) for _ in range(self._count)]
        for client in clients:
            client.sendall(head)
        while not self._stop.wait(0.5):
            for client in clients:
                try:
                    client.sendall(b"-")
                except OSError:  # the service has cut it off
                    continue
        for client in clients:
            client.close()


@pytest.mark.parametrize("name", ["service", "doubting_service"])
def test_requests_made_from_the_description_find_no_error(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    service: Service = request.getfixturevalue(name)
    program = str(Path(sys.executable).with_name("schemathesis"))
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    argv = [program, "run", f"{service.url}/openapi.json", "--checks", checks, "--max-examples", "40", "--no-color"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
