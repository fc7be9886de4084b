"""A publication starts a training, which ends with a current classifier that a service answers with, and its card."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER
from local import REPO
from local.stack import ports
from local.waiting import wait_until
from tests.e2e.embedded_stack import REAL_PHOTOS, Ended, Stack
from tests.e2e.training import DAG, ROTTEN

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


def test_the_log_says_how_far_the_training_is(trained: Ended) -> None:
    assert "training on " in trained.log("train_classifier")


def test_the_publication_starts_it_and_the_cluster_ends(stack: Stack, trained: Ended) -> None:
    assert trained.state == "success"
    assert set(trained.tasks.values()) == {"success"}
    assert stack.cluster_of(trained)["Status"]["State"] == "TERMINATED"


def test_the_classifier_is_current_and_has_a_card(stack: Stack, trained: Ended) -> None:
    model_id = trained.manifest(EVALUATE_CLASSIFIER.name)["digests"]["classifier"]
    current = json.loads(stack.read(layout.CURRENT_MODELS))
    assert (current["classifier"]["model_id"], current["classifier"]["run"]) == (model_id, trained.run)
    assert "pca" in current
    card = json.loads(stack.read(layout.classifier_card(model_id)))
    assert {"variety_accuracy", "fruit_accuracy", "condition_accuracy", "ece"} == set(card["metrics"])
    assert card["metrics"]["fruit_accuracy"] > 0.9
    assert card["meanings"][ROTTEN] == {"variety": ROTTEN, "fruit": "apple", "condition": "rotten"}
    assert model_id in stack.read(layout.classifier_card_page(model_id)).decode()


def test_training_again_compares_with_the_current_one_and_keeps_it_when_equal(stack: Stack, trained: Ended) -> None:
    stack.pause(DAG, is_paused=False)
    again = stack.wait(DAG, stack.api.trigger(DAG, {}))
    stack.pause(DAG, is_paused=True)
    manifest = again.manifest(EVALUATE_CLASSIFIER.name)
    assert manifest["figures"]["current"] == manifest["figures"]["metrics"]
    assert manifest["digests"] == trained.manifest(EVALUATE_CLASSIFIER.name)["digests"], "the same rows give the same classifier"
    assert again.state == "success"
    assert "no worse than the current classifier" in manifest["findings"][0]["message"]


def test_a_service_answers_with_it(stack: Stack, trained: Ended, condition_photos: Path) -> None:
    port = ports.choose({"serving": 8000})["serving"]
    environment = {**os.environ, **stack.services.env, "FRUITS_PORT": str(port), "FRUITS_WORKERS": "1"}
    service = subprocess.Popen([sys.executable, "-m", "serving"], env=environment, cwd=REPO)
    url = f"http://127.0.0.1:{port}"
    try:
        assert wait_until(lambda: is_ready(url), timeout_s=60, every_s=0.2)
        source = REAL_PHOTOS / "Tomato Yellow 1"
        unseen = next(path for path in sorted(source.glob("*.jpg")) if not (condition_photos / source.name / path.name).exists())
        answer = httpx.post(f"{url}/predict", files={"photo": unseen.read_bytes()}, timeout=30).json()
    finally:
        service.terminate()
        service.wait(30)
    assert (answer["fruit"]["name"], answer["condition"]["name"]) == ("tomato", "fresh")
    assert answer["models"]["classifier"] == trained.manifest(EVALUATE_CLASSIFIER.name)["digests"]["classifier"]


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").is_success
    except httpx.TransportError:
        return False
