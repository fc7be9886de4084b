"""Figures of a classifier whose answers are known, and the card that shows them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fruits import taxonomy
from fruits.classifier import INPUT_COUNT, Classifier, Familiarity, Head
from fruits.evaluation import Evaluation, evaluate
from fruits.held_out import is_for_calibration
from fruits.labelled_rows import LabelledRows
from fruits.model_card import card_of, findings_of, page
from fruits_contract import layout
from fruits_contract.classifier_pipeline import ClassifierRunParams
from fruits_contract.manifest import Manifest

VARIETIES = ("Apple 1", "Apple Rotten 1", "Cherry 1")
PER_VARIETY = 20


@pytest.fixture
def classifier() -> Classifier:
    weights = np.zeros((INPUT_COUNT, 3), np.float32)
    weights[:3] = 5 * np.eye(3)
    return Classifier(
        extractor="e" * 64,
        method="lda",
        weights=weights,
        bias=np.zeros(3, np.float32),
        sure_above=0.8,
        heads={
            "variety": Head("variety", VARIETIES, np.arange(3)),
            "fruit": Head("fruit", ("apple", "cherry"), np.array([0, 0, 1])),
        },
        familiarity=Familiarity(np.eye(INPUT_COUNT, 3, dtype=np.float32), np.zeros((1, 3), np.float32), 100.0),
    )


@pytest.fixture
def rows() -> LabelledRows:
    """Twenty photos a variety; of the rotten apples, five look like the other apple."""
    labels = [variety for variety in VARIETIES for _ in range(PER_VARIETY)]
    looks = np.repeat(np.arange(3), PER_VARIETY)
    looks[PER_VARIETY : PER_VARIETY + 5] = 0
    inputs = np.zeros((len(labels), INPUT_COUNT), np.float32)
    inputs[np.arange(len(labels)), looks] = 1
    return LabelledRows([f"raw/d/{label}/{n} <b>.jpg" for n, label in enumerate(labels)], labels, inputs)


@pytest.fixture
def evaluation(classifier: Classifier, rows: LabelledRows) -> Evaluation:
    return evaluate(classifier, rows, answer_of=lambda label, head: taxonomy.load().meaning_of(label).answer(head))


def test_accuracy_recall_and_precision(evaluation: Evaluation) -> None:
    variety = evaluation.heads["variety"]
    assert variety.accuracy == pytest.approx(55 / 60)
    assert variety.balanced_accuracy == pytest.approx((1 + 15 / 20 + 1) / 3)
    apple, rotten, cherry = variety.classes
    assert (apple.tested, apple.recall, apple.precision) == (20, 1, pytest.approx(20 / 25))
    assert (rotten.recall, rotten.precision) == (0.75, 1)
    assert cherry.precision == cherry.recall == 1
    assert evaluation.heads["fruit"].accuracy == 1
    assert evaluation.metrics["fruit_accuracy"] == 1
    assert "condition_accuracy" not in evaluation.metrics


def test_confusions_name_photos(evaluation: Evaluation) -> None:
    (confusion,) = evaluation.heads["variety"].confusions
    assert (confusion.truth, confusion.answer, confusion.count) == ("Apple Rotten 1", "Apple 1", 5)
    assert confusion.photos[0] == "raw/d/Apple Rotten 1/20 <b>.jpg"


def test_confusions_count_contributed_photos_and_do_not_name_them(classifier: Classifier, rows: LabelledRows) -> None:
    for number in range(PER_VARIETY, PER_VARIETY + 4):
        rows.paths[number] = layout.contributed_image("d", "Apple Rotten 1", f"20261122-{number:032x}")
    (confusion,) = evaluate(classifier, rows, answer_of=lambda label, head: label).heads["variety"].confusions
    assert (confusion.count, confusion.photos) == (5, ("raw/d/Apple Rotten 1/24 <b>.jpg",))


def test_a_class_that_the_classifier_lacks_is_never_right(classifier: Classifier, rows: LabelledRows) -> None:
    found = evaluate(classifier, rows, answer_of=lambda label, head: "Plum 1" if label == "Cherry 1" else label)
    assert found.heads["variety"].accuracy == pytest.approx(35 / 60)


@pytest.mark.parametrize(("is_far", "share"), [(is_for_calibration, 0), (lambda path: not is_for_calibration(path), 1)])
def test_the_share_of_unknown_photos_is_that_of_the_half_that_did_not_set_the_limit(
    classifier: Classifier, rows: LabelledRows, is_far: Callable[[str], bool], share: float
) -> None:
    rows.inputs[[is_far(path) for path in rows.paths]] *= 1000
    assert evaluate(classifier, rows, answer_of=lambda label, head: label).unknown_share == share


def test_only_a_worse_classifier_is_held_back(evaluation: Evaluation, classifier: Classifier, rows: LabelledRows) -> None:
    worse = evaluate(classifier, rows, answer_of=lambda label, head: "cherry" if head == "fruit" else label)
    assert [finding.severity for finding in findings_of(evaluation, None, current_id="")] == ["info"]
    assert [finding.severity for finding in findings_of(evaluation, evaluation, current_id="c1")] == ["info"]
    assert [finding.severity for finding in findings_of(evaluation, worse, current_id="c1")] == ["info"]
    (finding,) = findings_of(worse, evaluation, current_id="c1")
    assert finding.severity == "red"
    assert "fruit_accuracy 0.3333 instead of 1.0000" in finding.message
    assert "does not know" not in finding.message


def test_a_worse_classifier_of_more_varieties_names_them(
    evaluation: Evaluation, classifier: Classifier, rows: LabelledRows
) -> None:
    worse = evaluate(classifier, rows, answer_of=lambda label, head: "cherry" if head == "fruit" else label)
    variety = evaluation.heads["variety"]
    fewer = replace(evaluation, heads={**evaluation.heads, "variety": replace(variety, classes=variety.classes[1:])})
    (finding,) = findings_of(worse, fewer, current_id="c1")
    assert finding.message.endswith(f"the current one does not know {variety.classes[0].name}")


@pytest.fixture
def card(evaluation: Evaluation) -> dict[str, Any]:
    figures = {
        "random_split_accuracy": 0.99,
        "training_photos": dict.fromkeys(VARIETIES, 40),
        "meanings": {name: {"variety": name, "fruit": "apple", "condition": "fresh"} for name in VARIETIES},
        "method": "lda",
        "methods": {"nearest_centroid": 0.8, "lda": 0.9167, "logistic_regression": 0.91},
        "left_out": {"condition": "all photos are of one class, fresh; two are needed"},
    }
    trained = Manifest("train_classifier", "c1", "2026-11-24", 3.0, 180, 120, figures=figures, digests={"classifier": "abc"})
    params = ClassifierRunParams(bucket="b", run="c1", release="v1", extractor="e" * 64, current="old")
    return card_of(evaluation, evaluation, trained=trained, params=params, findings=findings_of(evaluation, None, current_id=""))


def test_the_card_holds_metrics_use_and_limits(card: dict[str, Any]) -> None:
    assert card["metrics"]["variety_accuracy"] == pytest.approx(55 / 60, abs=1e-6)
    assert set(card["metrics"]) == {"variety_accuracy", "fruit_accuracy", "ece"}
    assert card["photos"] == {"all": 180, "trained_on": 120, "held_out": 60}
    assert card["intended_use"]
    assert card["limits"]
    assert card["current"]["model_id"] == "old"


def test_the_page_is_escaped_and_asks_nobody(card: dict[str, Any]) -> None:
    content = page(card)
    assert "20 &lt;b&gt;.jpg" in content
    assert "<b>.jpg" not in content
    assert "There is no answer for <b>condition</b>" in content
    assert content.count("<svg") == 4, "a reliability diagram and a confusion matrix for each head"
    assert "src=" not in content
    assert "@import" not in content
