"""train_classifier, through spark-submit, leaves a classifier that answers for the features it was trained on."""

import numpy as np
import pytest

from fruits.classifier import Classifier, inputs_of, model_id_of
from fruits.held_out import NameCounts, Split, is_for_calibration
from fruits.linear_fits import FAMILIAR_SHARE
from fruits_contract import layout
from fruits_contract.classifier_pipeline import TRAIN_CLASSIFIER
from tests.spark_apps.conftest import TrainingRun

pytestmark = [pytest.mark.slow, pytest.mark.spark4]


@pytest.fixture(scope="module")
def content(training: TrainingRun) -> bytes:
    return training.features.read(layout.classifier_arrays(training.model_id))


def test_it_is_named_by_its_content(training: TrainingRun, content: bytes) -> None:
    assert model_id_of(content) == training.model_id


def test_it_answers_for_the_features_of_the_table(training: TrainingRun, content: bytes) -> None:
    classifier = Classifier.from_bytes(content)
    table = training.features.features
    colors = np.array(table["colors"].to_pylist(), np.float32)
    probabilities = classifier.probabilities(inputs_of(training.features.vectors, colors))["variety"]
    answers = [classifier.heads["variety"].classes[number] for number in probabilities.argmax(axis=1)]
    right = np.mean([answer == label for answer, label in zip(answers, table["label"].to_pylist(), strict=True)])
    assert right > 0.95
    assert classifier.extractor == training.params.extractor


def test_the_limit_of_the_unknown_is_set_by_the_half_that_is_not_tested_on(training: TrainingRun, content: bytes) -> None:
    familiarity = Classifier.from_bytes(content).familiarity
    table = training.features.features
    paths, labels = table["path"].to_pylist(), table["label"].to_pylist()
    by_label = {label: [path for path, other in zip(paths, labels, strict=True) if other == label] for label in labels}
    split = Split({label: NameCounts.of(found) for label, found in by_label.items()})
    is_chosen = [split.is_held_out(path, label) and is_for_calibration(path) for path, label in zip(paths, labels, strict=True)]
    colors = np.array(table["colors"].to_pylist(), np.float32)
    distances = familiarity.distances(inputs_of(training.features.vectors, colors)[is_chosen])
    assert familiarity.unknown_above == pytest.approx(np.quantile(distances, FAMILIAR_SHARE), rel=1e-4)


def test_the_manifest_compares_three_methods_and_counts_photos(training: TrainingRun) -> None:
    manifest = training.manifest(TRAIN_CLASSIFIER)
    assert set(manifest.figures["methods"]) == {"nearest_centroid", "lda", "logistic_regression"}
    assert (
        manifest.figures["method"]
        == Classifier.from_bytes(training.features.read(layout.classifier_arrays(training.model_id))).method
    )
    assert manifest.rows_in == training.features.readable
    assert manifest.rows_out + manifest.figures["held_out"] == manifest.rows_in
    assert sum(manifest.figures["training_photos"].values()) == manifest.rows_out


def test_what_spark_ml_read_is_gone(training: TrainingRun) -> None:
    assert training.features.keys(layout.training_points(training.params.run)) == []
