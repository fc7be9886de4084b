"""What the service answers: to photos with what is on them, to anything else with a problem that has a reason."""

import io
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fruits.classifier import Classifier, inputs_of
from fruits.colors import colors_of
from fruits.engines import open_engine
from fruits.vision import decode
from local.waiting import wait_until
from release.extractor import Extractor
from tests.serving.conftest import Service, Start

pytestmark = pytest.mark.slow

UNFINISHED = (
    b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 9999\r\n\r\n--B"
)


def encoded(image: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


def test_photos_are_recognised_as_by_the_classifier_itself(
    service: Service, photos: dict[str, list[bytes]], classifier: Classifier, extractor: Extractor
) -> None:
    engine = open_engine("litert", extractor.path().read_bytes())
    for variety, contents in photos.items():
        answer = service.predict(contents[0]).json()
        image, _, _ = decode(contents[0])
        expected = classifier.probabilities(inputs_of(engine.features(image[None]), colors_of(image)[None]))["variety"][0]
        assert (answer["verdict"], answer["variety"]["name"]) == ("sure", variety)
        assert answer["fruit"]["name"] == variety.split()[0].lower()
        assert answer["condition"] is None, "all three are fresh, so there is no such head"
        assert answer["variety"]["probability"] == pytest.approx(expected.max(), abs=1e-4)
        assert answer["variety"]["top"][0]["name"] == variety
        assert answer["models"]["extractor"] == extractor.digest


def test_what_is_no_fruit_is_unknown(service: Service) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8))
    answer = service.predict(encoded(noise, "PNG")).json()
    assert answer["verdict"] == "unknown"
    assert answer["distance"] > 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF"])
def test_other_formats_are_read(service: Service, photos: dict[str, list[bytes]], kind: str) -> None:
    photo = Image.open(io.BytesIO(photos["Cherry 3"][0]))
    assert service.predict(encoded(photo, kind)).json()["fruit"]["name"] == "cherry"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"vm\n", "not_an_image"),
        (b"not a photo at all, only text", "not_an_image"),
        (encoded(Image.new("RGB", (100, 100)), "JPEG")[:200], "truncated"),
        (encoded(Image.new("1", (9000, 9000)), "PNG"), "too_many_pixels"),
    ],
)
def test_what_is_no_photo_is_refused_with_a_reason(service: Service, content: bytes, reason: str) -> None:
    response = service.predict(content)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"], problem["reason"]) == (422, 422, reason)
    assert problem["title"]
    assert problem["detail"]


def test_other_requests_are_refused(service: Service) -> None:
    http, url = service.http, f"{service.url}/predict"
    found = {
        "no multipart": http.post(url, content=b"x", headers={"content-type": "image/jpeg"}),
        "other field": http.post(url, files={"picture": b"x"}),
        "text field": http.post(url, files={"photo": (None, "x")}),
        "two files": http.post(url, files=[("photo", b"x"), ("photo", b"y")]),
        "no boundary": http.post(url, content=b"x", headers={"content-type": "multipart/form-data"}),
        "method": http.get(url),
        "path": http.get(f"{service.url}/nothing"),
    }
    statuses = {name: response.status_code for name, response in found.items()}
    assert statuses == {
        "no multipart": 415,
        "other field": 400,
        "text field": 400,
        "two files": 400,
        "no boundary": 400,
        "method": 405,
        "path": 404,
    }
    assert {response.headers["content-type"] for response in found.values()} == {"application/problem+json"}


def test_a_large_request_is_refused_whatever_it_says_of_its_size(service: Service) -> None:
    response = service.predict(b"x" * 10_000_001)
    assert (response.status_code, response.json()["reason"]) == (413, "too_large")

    def chunks() -> object:
        yield b'--B\r\nContent-Disposition: form-data; name="photo"; filename="p"\r\n\r\n'
        for _ in range(11):
            yield b"x" * 1_000_000

    headers = {"content-type": "multipart/form-data; boundary=B"}
    response = service.http.post(f"{service.url}/predict", content=chunks(), headers=headers)  # type: ignore[arg-type]
    assert (response.status_code, response.json()["reason"]) == (413, "too_large")


def test_a_slow_client_is_cut_off(start: Start, models: str) -> None:
    service = start(models, read_timeout_s=0.5)
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000\r\n\r\n--B"
        )
        began = time.monotonic()
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 5


def test_a_client_has_a_number_of_requests_a_minute(start: Start, models: str, photos: dict[str, list[bytes]]) -> None:
    service = start(models, requests_per_minute=3)
    photo = photos["Tomato 1"][0]
    responses = [service.predict(photo) for _ in range(5)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
    assert responses[3].json()["reason"] == "rate_limited"
    assert responses[3].headers["retry-after"] == "60"


def test_more_requests_than_may_wait_are_refused(start: Start, models: str, photos: dict[str, list[bytes]]) -> None:
    service = start(models, workers=1, max_waiting=2)
    with ThreadPoolExecutor(16) as pool:
        statuses = {response.status_code for response in pool.map(service.predict, photos["Tomato 1"] * 4)}
    assert statuses == {200, 503}
    assert service.predict(photos["Tomato 1"][0]).status_code == 200


def test_the_page_may_load_nothing_from_elsewhere(service: Service) -> None:
    headers = service.http.get(service.url).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_metrics_count_requests_and_name_the_model(service: Service, photos: dict[str, list[bytes]]) -> None:
    before = service.metric('fruits_requests_total{status="200"}')
    model_id = service.predict(photos["Tomato 1"][0]).json()["models"]["classifier"]
    assert service.metric('fruits_requests_total{status="200"}') == before + 1
    assert service.metric(f'fruits_model_info{{classifier="{model_id}"') == 1
    assert service.metric("fruits_request_seconds_count") >= 1


def test_a_client_that_goes_away_is_no_error_of_the_service(start: Start, models: str) -> None:
    service = start(models)
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(UNFINISHED)
        time.sleep(0.3)
    assert wait_until(lambda: service.metric('fruits_requests_total{status="400"}') == 1, timeout_s=60, every_s=0.1)
    assert service.metric('fruits_requests_total{status="500"}') == 0


def test_uploads_beyond_the_limit_are_refused(start: Start, models: str, photos: dict[str, list[bytes]]) -> None:
    service = start(models, max_waiting=2, read_timeout_s=120)
    host, port = service.url.removeprefix("http://").split(":")
    clients = [socket.create_connection((host, int(port))) for _ in range(2)]
    for client in clients:
        client.sendall(UNFINISHED)
    photo = photos["Cherry 3"][0]
    assert wait_until(lambda: service.predict(photo).status_code == 503, timeout_s=60, every_s=0.1)
    for client in clients:
        client.close()
    assert wait_until(lambda: service.predict(photo).status_code == 200, timeout_s=60, every_s=0.1)
