"""evaluate_classifier, through spark-submit, leaves a model card, and holds a worse classifier back."""

from pathlib import Path

import pytest

from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER, TRAIN_CLASSIFIER
from tests.spark_apps.conftest import TrainingRun

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


def test_the_card_has_the_metrics_of_the_manifest(training: TrainingRun) -> None:
    manifest = training.manifest(EVALUATE_CLASSIFIER)
    assert training.card["metrics"] == manifest.figures["metrics"]
    assert {"variety_accuracy", "ece"} <= set(training.card["metrics"])
    assert manifest.rows_in == training.manifest(TRAIN_CLASSIFIER).figures["held_out"] == training.card["photos"]["held_out"]
    assert manifest.digests["classifier"] == training.card["model_id"] == training.model_id
    assert [(finding.check, finding.severity) for finding in manifest.findings] == [("not_worse", "info")]


def test_the_page_is_beside_it(training: TrainingRun, tmp_path: Path) -> None:
    page = training.features.read(layout.classifier_card_page(training.model_id)).decode()
    assert training.model_id in page
    assert "<h2>Confusions" in page or "<h3>Confusions" in page
