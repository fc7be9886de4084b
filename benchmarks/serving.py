"""make bench-serving: requests a second of the prediction service, against the engine's limit, LitServe and Keras's predict."""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from benchmarks import command_line, commands, http_load, photo_classifier
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, free_port, s3_only
from benchmarks.results import CORES, REPO, Results
from benchmarks.rounds import Samples, alternate
from fruits.classifier import model_id_of
from fruits.storage import Storage
from fruits_contract import layout
from local.client.upload import find_photos
from local.waiting import wait_until
from release import extractor

PEERS = REPO / ".venv-peers" / "bin" / "python"
PHOTOS = 100
CLIENTS = 8
SECONDS = 10
LIMIT_PHOTOS = 2_000
START_LIMIT_S = 120
STOP_LIMIT_S = 30
RATE, HALF = "requests/s", "about half the rate (requests/s)"
SINGLE, P99 = "one client, median (ms)", "at about half the rate, 99th percentile (ms)"
OURS, LIMIT, LITSERVE, KERAS = "ours", "engine limit", "litserve", "keras"


def measure(arguments: argparse.Namespace) -> Results:
    """Load each service in turns, and the engine without a service."""
    files, _ = find_photos(arguments.images, drop="bench")
    photos = [files[key] for key in sorted(files)][:: max(len(files) // PHOTOS, 1)][:PHOTOS]
    with s3_only(), TemporaryDirectory() as scratch:
        folder = Path(scratch)
        http_load.write_requests(photos, folder)
        _write_models(folder, photos)
        contenders: dict[str, Callable[[], Samples]] = {
            LIMIT: partial(_limit, folder, photos),
            OURS: partial(_ours, folder),
            LITSERVE: partial(_peer, folder, [str(PEERS), "-m", "benchmarks.contenders.litserve_service"], [str(CORES)]),
            KERAS: partial(_peer, folder, [sys.executable, "-m", "benchmarks.contenders.keras_service"], []),
        }
        rounds = alternate(contenders, repetitions=arguments.repetitions, skip_failed=True)
    ratios = {
        "of_engine_limit": rounds.ratio((OURS, RATE), (LIMIT, RATE)),
        "p99_over_single": rounds.ratio((OURS, P99), (OURS, SINGLE)),
    }
    for name, peer in (("vs_litserve", LITSERVE), ("vs_keras", KERAS)):
        if peer not in rounds.failed:
            ratios[name] = rounds.ratio((OURS, RATE), (peer, RATE))
    settings = {"photos": len(photos), "clients": CLIENTS, "workers": CORES, "seconds": SECONDS}
    return Results(rounds, ratios=ratios, settings=settings)


def _write_models(folder: Path, photos: Sequence[Path]) -> None:
    """Train a classifier on the photos, and put it and its extractor into the folder and the bucket."""
    network = extractor.ensure()
    shutil.copy(network.path(), folder / "extractor.tflite")
    shutil.copy(network.keras_path(), folder / "extractor.keras")
    rows = photo_classifier.read_photos(photos, network=network.path())
    content = photo_classifier.fit(rows, rows, extractor=network.digest).to_bytes()
    (folder / "classifier.npz").write_bytes(content)
    storage, model_id = Storage(BUCKET), model_id_of(content)
    storage.write(layout.classifier_arrays(model_id), content)
    storage.upload(layout.extractor(network.digest), str(network.path()))
    entry = {"model_id": model_id, "extractor": network.digest, "run": "bench", "previous": ""}
    storage.write(layout.CURRENT_MODELS, json.dumps({"classifier": entry}))


def _limit(folder: Path, photos: Sequence[Path]) -> Samples:
    listing = folder / "photos.txt"
    listing.write_text("\n".join(map(str, photos)))
    argv = [sys.executable, "-m", "benchmarks.contenders.engine_limit", "litert", str(folder / "extractor.tflite"), str(listing)]
    done = commands.run([*argv, str(CORES), str(LIMIT_PHOTOS)], {"PYTHONPATH": _python_path()})
    return {RATE: done.result["images_per_s"]}


def _ours(folder: Path) -> Samples:
    environment = {"FRUITS_BUCKET": BUCKET, "FRUITS_WORKERS": str(CORES), "FRUITS_REQUESTS_PER_MINUTE": "0"}
    port = free_port()
    with _running([sys.executable, "-m", "serving"], {**environment, "FRUITS_PORT": str(port)}, folder, port=port) as url:
        full = http_load.send(url, folder, clients=CLIENTS, seconds=SECONDS)
        single = http_load.send(url, folder, clients=1, seconds=SECONDS // 2)
        pause_ms = CLIENTS / (full.requests_per_s / 2) * 1000 - single.median_ms
        half = http_load.send(url, folder, clients=CLIENTS, seconds=2 * SECONDS, pause_ms=pause_ms)
    return {RATE: full.requests_per_s, SINGLE: single.median_ms, HALF: half.requests_per_s, P99: half.p99_ms}


def _peer(folder: Path, command: Sequence[str], arguments: Sequence[str]) -> Samples:
    port = free_port()
    with _running([*command, str(folder), str(port), *arguments], {}, folder, port=port) as url:
        return {RATE: http_load.send(url, folder, clients=CLIENTS, seconds=SECONDS).requests_per_s}


@contextmanager
def _running(argv: Sequence[str], env: dict[str, str], folder: Path, *, port: int) -> Iterator[str]:
    """Run a service for the body, which begins when it has answered a photo."""
    url = f"http://127.0.0.1:{port}"
    log = folder / f"{port}.log"
    if shutil.which(argv[0]) is None:
        raise CannotMeasure(f"{argv[0]} is missing; `make bench-serving` sets it up")
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            env={**os.environ, **env, "PYTHONPATH": _python_path()},
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
        )
    headers = {"content-type": http_load.TYPE}

    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            body = (folder / "0").read_bytes()
            return httpx.post(f"{url}/predict", content=body, headers=headers, timeout=30, trust_env=False).is_success
        return False

    try:
        has_started_or_ended = wait_until(lambda: process.poll() is not None or answers(), timeout_s=START_LIMIT_S, every_s=0.5)
        if not has_started_or_ended or process.poll() is not None:
            raise CannotMeasure(f"{' '.join(argv[:3])} did not start:\n{log.read_text()[-2000:]}")
        http_load.send(url, folder, clients=CLIENTS, seconds=2)  # the first requests are slow
        yield url
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a service with its children: one of LitServe's outlives it by seconds, and would share the cores of what comes next."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=STOP_LIMIT_S)


def _python_path() -> str:
    return os.pathsep.join(map(str, (REPO, REPO / "plugins", REPO / "spark_apps")))


if __name__ == "__main__":
    sys.exit(
        command_line.main("serving", command_line.parser("serving", __doc__, images=True, repetitions=3).parse_args(), measure)
    )
