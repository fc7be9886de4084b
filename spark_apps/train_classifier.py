"""train_classifier: fits three kinds of linear classifiers on published features, and saves the best of each head."""

import json
import sys

import numpy as np
from pyspark.sql import SparkSession

from fruits import taxonomy
from fruits.class_moments import ClassMoments
from fruits.classifier import Classifier, Familiarity, Head, model_id_of
from fruits.head_fits import Question, accuracy_of, calibrated, choose, questions_of
from fruits.held_out import RandomSplit, Split
from fruits.job_progress import show_progress
from fruits.labelled_rows import LabelledRows
from fruits.linear_heads import LinearScores, fit_lda, fit_nearest_centroid, principal_axes, whitening_axes
from fruits.logistic_regression import COMPONENTS, fit_logistic_regression
from fruits.stage_run import StageRun
from fruits.training_jobs import FeatureRows
from fruits_contract import layout
from fruits_contract.classifier_pipeline import TRAIN_CLASSIFIER, ClassifierRunParams

FAMILIAR_SHARE = 0.99  # of held-out photos, which are of known varieties, this share must not be called unknown


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(TRAIN_CLASSIFIER, argv, ClassifierRunParams)
    params, storage = run.params, run.storage
    keys = json.loads(storage.read(layout.retained(params.run)))
    features = FeatureRows(run.context, params.bucket, params.extractor, keys)
    with show_progress(run.context, what=f"train_classifier: {len(keys):,} files of features"):
        names = features.count_names()
        photos = sum(counts.photos for counts in names.values())
        labels = sorted(names)
        questions, left_out = questions_of(labels, taxonomy.load())
        split = Split(names)
        by_variety = features.training_moments(split, labels)
        held_out = features.held_out_rows(split, photos=photos)
        fits = _fit_all(run, features, split, questions, by_variety)
        random_split_accuracy = _random_split_accuracy(features, questions[0], photos=photos)

    heads: dict[str, Head] = {}
    methods = {}
    for question in questions:
        accuracies = {method: accuracy_of(scores, question, held_out) for method, scores in fits[question.head].items()}
        method = choose(accuracies)
        heads[question.head] = calibrated(
            fits[question.head][method], question, method=method, rows=held_out, precision=params.target_precision
        )
        methods[question.head] = accuracies
        print(f"train_classifier: {question.head}: {method} of {accuracies}", flush=True)
    content = Classifier(params.extractor, heads, _familiarity(by_variety, held_out)).to_bytes()
    model_id = model_id_of(content)
    storage.write(layout.classifier_arrays(model_id), content)
    run.finish(
        rows_in=photos,
        rows_out=by_variety.total.count,
        figures={
            "held_out": len(held_out),
            "methods": methods,
            "left_out": left_out,
            "random_split_accuracy": random_split_accuracy,
            "training_photos": dict(zip(labels, by_variety.counts.tolist(), strict=True)),
            "meanings": {label: taxonomy.load().meaning_of(label).__dict__ for label in labels},
        },
        digests={"extractor": params.extractor, "classifier": model_id},
    )


def _fit_all(
    run: StageRun[ClassifierRunParams], features: FeatureRows, split: Split, questions: list[Question], by_variety: ClassMoments
) -> dict[str, dict[str, LinearScores]]:
    """Return the scores of each method for each head."""
    labels = sorted(split.labels)
    axes = principal_axes(by_variety, count=COMPONENTS)
    columns: dict[str, dict[str, float]] = {}
    moments = {}
    for question in questions:
        numbers = question.numbers
        grouped = by_variety.grouped([numbers[label] for label in labels], classes=len(question.classes))
        moments[question.head] = grouped
        # As with equal priors: every class weighs the same in all, however many photos it has.
        weights = grouped.total.count / (len(question.classes) * np.maximum(grouped.counts, 1))
        columns[question.head] = {label: float(numbers[label]) for label in labels}
        columns[f"{question.head}_weight"] = {label: float(weights[numbers[label]]) for label in labels}

    folder = layout.training_points(run.params.run)
    run.storage.delete_folder(folder)
    features.write_points(split, axes=axes, columns=columns, folder=folder)
    session = SparkSession.builder.getOrCreate()
    points = session.read.parquet(layout.uri(run.params.bucket, folder)).cache()
    fits = {
        question.head: {
            "nearest_centroid": fit_nearest_centroid(moments[question.head]),
            "lda": fit_lda(moments[question.head]),
            "logistic_regression": fit_logistic_regression(
                points, label=question.head, weight=f"{question.head}_weight", axes=axes
            ),
        }
        for question in questions
    }
    run.storage.delete_folder(folder)
    return fits


def _random_split_accuracy(features: FeatureRows, variety: Question, *, photos: int) -> float:
    """Return the accuracy that LDA seems to have where near copies of the training photos are tested on."""
    split = RandomSplit()
    moments = features.training_moments(split, variety.classes)
    return accuracy_of(fit_lda(moments), variety, features.held_out_rows(split, photos=photos))


def _familiarity(by_variety: ClassMoments, held_out: LabelledRows) -> Familiarity:
    axes = whitening_axes(by_variety).astype(np.float32)
    centers = (by_variety.means[by_variety.counts > 0] @ axes).astype(np.float32)
    distances = Familiarity(axes, centers, 0.0).distances(held_out.inputs)
    return Familiarity(axes, centers, float(np.quantile(distances, FAMILIAR_SHARE)))


if __name__ == "__main__":
    main(sys.argv[1:])
