"""The service through changes: a new model, a refused one, killed workers, its own end."""

import hashlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psutil
import pytest
from mypy_boto3_s3 import S3Client

from fruits.classifier import Classifier
from fruits_contract import layout
from local.waiting import wait_until
from release.extractor import Extractor
from tests.serving.conftest import VARIETIES, Service, Start, promote

pytestmark = pytest.mark.slow


@pytest.fixture
def own(s3: S3Client, bucket: str, extractor: Extractor, classifier: Classifier) -> Iterator[str]:
    """A bucket whose current classifier the test changes."""
    s3.upload_file(str(extractor.path()), bucket, layout.extractor(extractor.digest))
    promote(s3, bucket, classifier)
    yield bucket
    for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=item["Key"])


class Load:
    """Clients that ask without a pause, and check every answer."""

    def __init__(self, service: Service, photos: dict[str, list[bytes]], *, clients: int = 4) -> None:
        self.service, self.photos = service, photos
        self.statuses: Counter[int] = Counter()
        self.models: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = [self._pool.submit(self._ask, number) for number in range(clients)]

    def _ask(self, number: int) -> None:
        while not self._stop.is_set():
            variety = VARIETIES[number % len(VARIETIES)]
            response = self.service.predict(self.photos[variety][number % 8])
            self.statuses[response.status_code] += 1
            if response.is_success:
                answer = response.json()
                self.models[answer["models"]["classifier"]] += 1
                if answer["variety"]["name"] != variety:
                    self.wrong.append(answer["variety"]["name"])
            number += 1

    def stop(self) -> None:
        self._stop.set()
        for client in self._clients:
            client.result(30)


def test_a_new_model_is_used_without_a_failed_request(
    start: Start, own: str, s3: S3Client, classifier: Classifier, photos: dict[str, list[bytes]]
) -> None:
    service = start(own)
    load = Load(service, photos)
    for share in (0.81, 0.82, 0.83):
        model_id = promote(s3, own, replace(classifier, sure_above=share))
        assert wait_until(lambda model_id=model_id: load.models[model_id] > 20, timeout_s=30, every_s=0.1)  # type: ignore[misc]
    load.stop()
    assert set(load.statuses) == {200}
    assert load.wrong == []
    assert service.ready().json()["classifier"] == model_id


@pytest.mark.parametrize("fault", ["extractor", "damaged", "missing", "other content"])
def test_a_model_that_cannot_be_used_is_refused_and_the_old_one_stays(
    start: Start, own: str, s3: S3Client, classifier: Classifier, photos: dict[str, list[bytes]], fault: str
) -> None:
    service = start(own)
    before = service.ready().json()["classifier"]
    bad = promote(s3, own, replace(classifier, extractor="f" * 64))
    if fault == "damaged":
        s3.put_object(Bucket=own, Key=layout.classifier_arrays(bad), Body=b"PK damaged")
    elif fault == "other content":
        s3.put_object(Bucket=own, Key=layout.classifier_arrays(bad), Body=classifier.to_bytes())
    elif fault == "missing":
        s3.delete_object(Bucket=own, Key=layout.classifier_arrays(bad))
        bad = promote(s3, own, replace(classifier, sure_above=0.9))
        s3.delete_object(Bucket=own, Key=layout.classifier_arrays(bad))
    assert wait_until(lambda: service.ready().json()["refused"] is not None or fault == "missing", timeout_s=60, every_s=0.1)
    state = service.ready().json()
    assert service.predict(photos["Cherry 3"][0]).json()["variety"]["name"] == "Cherry 3"
    if fault == "extractor":
        assert state["classifier"] == before
        assert state["refused"]["model_id"] == bad
        assert service.metric("fruits_refused_models_total") == 1
        assert "it reads features of extractor ffffffffffff, this service runs" in state["refused"]["reason"]
    better = promote(s3, own, replace(classifier, sure_above=0.7))
    assert wait_until(lambda: service.ready().json()["classifier"] == better, timeout_s=60, every_s=0.1)
    assert service.ready().json()["refused"] is None


def test_it_serves_as_soon_as_there_is_a_model(
    start: Start, s3: S3Client, bucket: str, own: str, classifier: Classifier, photos: dict[str, list[bytes]]
) -> None:
    s3.delete_object(Bucket=own, Key=layout.CURRENT_MODELS)
    service = start(own, expect_ready=False)
    assert service.ready().status_code == 503
    response = service.predict(photos["Cherry 3"][0])
    assert (response.status_code, response.json()["reason"]) == (503, "no_model")
    assert "make run TRAIN=1" in response.json()["detail"]
    promote(s3, own, classifier)
    assert wait_until(lambda: service.ready().is_success, timeout_s=60, every_s=0.1)
    assert service.predict(photos["Cherry 3"][0]).status_code == 200


@pytest.mark.parametrize(
    ("fault", "ready", "predict"),
    [
        ("damaged", "its arrays are those of", "its arrays are those of"),
        ("no extractor", "the current model cannot be read", "the classifier cannot be loaded; see /ready"),
        ("no network", "the workers cannot be started: a worker died", "the classifier cannot be loaded; see /ready"),
    ],
)
def test_why_there_is_no_answer(
    start: Start,
    s3: S3Client,
    own: str,
    classifier: Classifier,
    photos: dict[str, list[bytes]],
    fault: str,
    ready: str,
    predict: str,
) -> None:
    content = b"no network"
    digest = hashlib.sha256(content).hexdigest()
    model_id = promote(s3, own, classifier if fault == "damaged" else replace(classifier, extractor=digest))
    if fault == "damaged":
        s3.put_object(Bucket=own, Key=layout.classifier_arrays(model_id), Body=b"PK damaged")
    if fault == "no network":
        s3.put_object(Bucket=own, Key=layout.extractor(digest), Body=content)
    service = start(own, expect_ready=False)
    assert ready in service.ready().json()["detail"]
    response = service.predict(photos["Cherry 3"][0])
    assert (response.status_code, response.json()["reason"]) == (503, "no_model")
    assert predict in response.json()["detail"]
    assert own not in response.json()["detail"], "only /ready names the bucket"


def test_killed_workers_are_replaced_and_no_answer_is_wrong(start: Start, own: str, photos: dict[str, list[bytes]]) -> None:
    service = start(own)
    wait_for_worker(service)
    before = len(service.processes())
    load = Load(service, photos)
    for _ in range(3):
        victim = wait_for_worker(service)
        asked = load.statuses.total()
        victim.kill()
        assert wait_until(lambda asked=asked: load.statuses.total() > asked + 20, timeout_s=30, every_s=0.05)  # type: ignore[misc]
    load.stop()
    assert set(load.statuses) == {200}
    assert load.wrong == []
    assert service.metric("fruits_worker_deaths_total") >= 1
    for photo in photos["Cherry 3"][:4]:  # a new pool starts its worker with the first photo
        service.predict(photo)
    assert wait_until(lambda: len(service.processes()) == before, timeout_s=30, every_s=0.2), service.processes()


def test_an_idle_worker_that_is_killed_is_replaced(start: Start, own: str, photos: dict[str, list[bytes]]) -> None:
    service = start(own)
    for _ in range(2):
        wait_for_worker(service).kill()
        time.sleep(1)  # until the pool has noticed
        answers = [service.predict(photos["Cherry 3"][0]) for _ in range(4)]
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["variety"]["name"] for answer in answers} == {"Cherry 3"}
    assert service.metric("fruits_worker_deaths_total") >= 1


@pytest.mark.parametrize("pointer", [b"[]", b'{"classifier": {"run": "r"}}', b"{"])
def test_a_pointer_that_is_damaged_changes_nothing_and_the_next_model_is_used(
    start: Start, own: str, s3: S3Client, classifier: Classifier, photos: dict[str, list[bytes]], pointer: bytes
) -> None:
    service = start(own)
    s3.put_object(Bucket=own, Key=layout.CURRENT_MODELS, Body=pointer)
    time.sleep(1)  # some polls
    assert service.predict(photos["Cherry 3"][0]).status_code == 200
    better = promote(s3, own, replace(classifier, sure_above=0.77))
    assert wait_until(lambda: service.ready().json()["classifier"] == better, timeout_s=60, every_s=0.1)


def wait_for_worker(service: Service) -> psutil.Process:
    assert wait_until(lambda: len(service.workers()) >= 2, timeout_s=30, every_s=0.1)
    return service.workers()[0]


def test_sigterm_lets_requests_finish(start: Start, own: str, photos: dict[str, list[bytes]]) -> None:
    service = start(own)
    children = psutil.Process(service.process.pid).children(recursive=True)
    with ThreadPoolExecutor(8) as pool:
        pending = [pool.submit(service.predict, photo) for photo in photos["Cherry 3"][:8]]
        wait_until(lambda: service.metric("fruits_waiting") > 0, timeout_s=5, every_s=0.01)
        service.process.send_signal(signal.SIGTERM)
        statuses = [future.result(30).status_code for future in pending]
    assert statuses == [200] * 8
    assert service.process.wait(30) in (0, -signal.SIGTERM)
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_a_killed_service_leaves_no_process(start: Start, own: str) -> None:
    service = start(own)
    children = psutil.Process(service.process.pid).children(recursive=True)
    assert children
    service.process.kill()
    service.process.wait(10)
    assert not psutil.wait_procs(children, timeout=20)[1]
