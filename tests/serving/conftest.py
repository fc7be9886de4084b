"""A real service in a process of its own, on a real S3 server, with a small classifier trained on real photos."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from mypy_boto3_s3 import S3Client

from fruits import taxonomy
from fruits.class_moments import ClassMoments
from fruits.classifier import Classifier, Familiarity, inputs_of, model_id_of
from fruits.colors import colors_of
from fruits.engines import open_engine
from fruits.labelled_rows import LabelledRows
from fruits.linear_fits import fit_lda, whitening_axes
from fruits.method_choice import calibrated, heads_of
from fruits.vision import decode
from fruits_contract import layout
from local import REPO
from local.stack import ports
from local.waiting import wait_until
from release.extractor import Extractor
from serving.contributions import CONSENT_VERSION
from tests.fixtures.s3_server import client_of

VARIETIES = ("Apple Golden 1", "Cherry 3", "Tomato 1")
PER_VARIETY = 16
START_LIMIT_S = 60
CONTRIBUTOR_KEY = "k" * 32
CONSENT = {"contributor": "0" * 32, "consent": CONSENT_VERSION, "language": "fr"}


@dataclass
class Service:
    """One process of the service."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))

    def predict(self, content: bytes, **headers: str) -> httpx.Response:
        return self.http.post(f"{self.url}/predict", files={"photo": ("p.jpg", content)}, headers=headers)

    def contribute(self, content: bytes, fields: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """Send a photo with the fields of a page whose user has agreed, or with other ones."""
        fields = CONSENT if fields is None else fields
        return self.http.post(f"{self.url}/contributions", data=fields, files={"photo": ("p.jpg", content)}, headers=headers)

    def erase(self, token: str, **headers: str) -> httpx.Response:
        return self.http.post(f"{self.url}/erasures", json={"token": token}, headers=headers)

    def ready(self) -> httpx.Response:
        return self.http.get(f"{self.url}/ready")

    def metric(self, name: str) -> float:
        lines = self.http.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and not line.startswith("#"))

    def workers(self) -> list[psutil.Process]:
        """Return the processes with the network: those that have mapped LiteRT's memory, not the fork server."""
        return [child for child in self.processes() if child.memory_info().rss > 80_000_000]

    def processes(self) -> list[psutil.Process]:
        """Return all processes that the service has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, *, timeout_s: float = 30) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@pytest.fixture(scope="session")
def photos(reference_photos: Path) -> dict[str, list[bytes]]:
    """Real photos by variety."""
    return {
        name: [path.read_bytes() for path in sorted((reference_photos / name).glob("*.jpg"))[:PER_VARIETY]] for name in VARIETIES
    }


@pytest.fixture(scope="session")
def classifier(photos: dict[str, list[bytes]], extractor: Extractor) -> Classifier:
    """A classifier of the photos themselves."""
    engine = open_engine("litert", extractor.path().read_bytes())
    images = [decode(content)[0] for contents in photos.values() for content in contents]
    features = np.concatenate([engine.features(image[None]) for image in images])
    inputs = inputs_of(features, np.stack([colors_of(image) for image in images]))
    labels = [name for name, contents in photos.items() for _ in contents]
    rows = LabelledRows([f"raw/d/{label}/{number}.jpg" for number, label in enumerate(labels)], labels, inputs)
    numbers = np.repeat(np.arange(len(VARIETIES)), PER_VARIETY)
    moments = ClassMoments.of(inputs, numbers, classes=len(VARIETIES))
    heads, _ = heads_of(VARIETIES, taxonomy.load())
    axes = whitening_axes(moments, count=24).astype(np.float32)
    centers = (moments.means @ axes).astype(np.float32)
    limit = 1.2 * float(Familiarity(axes, centers, 0).distances(inputs).max())
    return calibrated(
        fit_lda(moments),
        heads,
        method="lda",
        extractor=extractor.digest,
        sure_above=0.8,
        familiarity=Familiarity(axes, centers, limit),
        held_out=rows,
    )


def promote(client: S3Client, bucket: str, classifier: Classifier) -> str:
    """Put a classifier into the bucket and make it current; return its id."""
    content = classifier.to_bytes()
    model_id = model_id_of(content)
    client.put_object(Bucket=bucket, Key=layout.classifier_arrays(model_id), Body=content)
    entry: dict[str, Any] = {"model_id": model_id, "extractor": classifier.extractor, "run": "r", "previous": ""}
    client.put_object(Bucket=bucket, Key=layout.CURRENT_MODELS, Body=json.dumps({"classifier": entry}).encode())
    return model_id


@pytest.fixture(scope="session")
def models(s3_environment: dict[str, str], extractor: Extractor, classifier: Classifier) -> str:
    """A bucket with a current classifier and its extractor."""
    client = client_of(s3_environment)
    client.create_bucket(Bucket="models")
    client.upload_file(str(extractor.path()), "models", layout.extractor(extractor.digest))
    promote(client, "models", classifier)
    return "models"


@pytest.fixture(scope="session")
def doubting_models(s3_environment: dict[str, str], extractor: Extractor, classifier: Classifier) -> str:
    """A bucket whose classifier is sure of nothing."""
    client = client_of(s3_environment)
    client.create_bucket(Bucket="doubting")
    client.upload_file(str(extractor.path()), "doubting", layout.extractor(extractor.digest))
    promote(client, "doubting", replace(classifier, sure_above=1.01))
    return "doubting"


Start = Callable[..., Service]


@pytest.fixture(scope="session")
def start(s3_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a service on a bucket, with settings by their names; `expect_ready=False` does not wait for a model."""
    started: list[Service] = []

    def start_one(bucket: str, *, expect_ready: bool = True, **settings: object) -> Service:
        port = ports.choose({"serving": 8000})["serving"]
        defaults = {"bucket": bucket, "port": port, "workers": 2, "poll_s": 0.2, "requests_per_minute": 0}
        variables = {f"FRUITS_{name.upper()}": str(value) for name, value in {**defaults, **settings}.items()}
        log = tmp_path_factory.mktemp("service") / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "serving"],
                env={**os.environ, **s3_environment, **variables, "PYTHONPATH": _python_path()},
                stdout=file,
                stderr=file,
            )
        service = Service(f"http://127.0.0.1:{port}", process, log)
        started.append(service)
        path = "/ready" if expect_ready else "/health"

        def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return service.http.get(f"{service.url}{path}").is_success
            return False

        assert wait_until(answers, timeout_s=START_LIMIT_S, every_s=0.1), log.read_text()
        return service

    yield start_one
    for service in started:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()


def _python_path() -> str:
    return os.pathsep.join(map(str, (REPO, REPO / "plugins", REPO / "spark_apps")))


@pytest.fixture(scope="session")
def service(start: Start, models: str) -> Service:
    """A service that no test changes."""
    return start(models)


@pytest.fixture(scope="session")
def doubting_service(start: Start, doubting_models: str) -> Service:
    """A service that is sure of nothing, and keeps photos."""
    return start(doubting_models, contributor_key=CONTRIBUTOR_KEY, contributions_per_day=1_000_000)
