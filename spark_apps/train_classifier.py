"""train_classifier: fits three kinds of linear classifiers on published features, and saves the best one."""

import json
import sys
from dataclasses import asdict

import numpy as np
from pyspark.sql import SparkSession

from fruits import taxonomy
from fruits.class_moments import ClassMoments
from fruits.classifier import model_id_of
from fruits.held_out import RandomSplit, Split
from fruits.job_progress import show_progress
from fruits.linear_fits import LinearScores, fit_familiarity, fit_lda, fit_nearest_centroid, principal_axes
from fruits.logistic_regression import COMPONENTS, fit_logistic_regression
from fruits.method_choice import accuracy_of, calibrated, calibration_half, choose_method, heads_of
from fruits.stage_run import StageRun
from fruits.training_jobs import FeatureRows
from fruits_contract import layout
from fruits_contract.classifier_pipeline import TRAIN_CLASSIFIER, ClassifierRunParams


def main(argv: list[str]) -> None:
    """Run the stage; argv is `RunParams.to_argv()`."""
    run = StageRun.begin(TRAIN_CLASSIFIER, argv, ClassifierRunParams)
    params, storage = run.params, run.storage
    keys = json.loads(storage.read(layout.retained(params.run)))
    features = FeatureRows(run.context, params.bucket, params.extractor, keys)
    with show_progress(run, what=f"training on {len(keys):,} files of features"):
        names = features.count_names()
        photos = sum(counts.photos for counts in names.values())
        varieties = sorted(names)
        heads, left_out = heads_of(varieties, taxonomy.load())
        split = Split(names)
        moments = features.training_moments(split, varieties)
        held_out = features.held_out_rows(split, photos=photos)
        fits = {
            "nearest_centroid": fit_nearest_centroid(moments),
            "lda": fit_lda(moments),
            "logistic_regression": _fit_logistic_regression(run, features, split, moments=moments),
        }
        random_split_accuracy = _random_split_accuracy(features, varieties, photos=photos)

    accuracies = {method: accuracy_of(scores, varieties, held_out) for method, scores in fits.items()}
    method = choose_method(accuracies)
    print(f"train_classifier: {method} of {accuracies}", flush=True)
    classifier = calibrated(
        fits[method],
        heads,
        method=method,
        extractor=params.extractor,
        sure_above=params.sure_above,
        familiarity=fit_familiarity(moments, calibration_half(held_out).inputs),
        held_out=held_out,
    )
    content = classifier.to_bytes()
    model_id = model_id_of(content)
    storage.write(layout.classifier_arrays(model_id), content)
    run.finish(
        rows_in=photos,
        rows_out=moments.total.count,
        figures={
            "held_out": len(held_out),
            "method": method,
            "methods": accuracies,
            "left_out": left_out,
            "random_split_accuracy": random_split_accuracy,
            "training_photos": dict(zip(varieties, moments.counts.tolist(), strict=True)),
            "meanings": {variety: asdict(taxonomy.load().meaning_of(variety)) for variety in varieties},
        },
        digests={"extractor": params.extractor, "classifier": model_id},
    )


def _fit_logistic_regression(
    run: StageRun[ClassifierRunParams], features: FeatureRows, split: Split, *, moments: ClassMoments
) -> LinearScores:
    """Hand the training rows to Spark ML, along their principal components."""
    varieties = sorted(split.labels)
    axes = principal_axes(moments, count=COMPONENTS)
    # As with equal priors: every variety weighs the same in all, however many photos it has.
    weights = moments.total.count / (len(varieties) * np.maximum(moments.counts, 1))
    columns = {
        "number": {variety: float(number) for number, variety in enumerate(varieties)},
        "weight": dict(zip(varieties, weights.tolist(), strict=True)),
    }
    folder = layout.training_points(run.params.run)
    run.storage.delete_folder(folder)
    features.write_points(split, axes=axes, columns=columns, folder=folder)
    points = SparkSession.builder.getOrCreate().read.parquet(layout.uri(run.params.bucket, folder))
    scores = fit_logistic_regression(points, label="number", weight="weight", axes=axes)
    run.storage.delete_folder(folder)
    return scores


def _random_split_accuracy(features: FeatureRows, varieties: list[str], *, photos: int) -> float:
    """Return the accuracy of LDA where neighbours of the tested photos have been trained on."""
    split = RandomSplit()
    scores = fit_lda(features.training_moments(split, varieties))
    return accuracy_of(scores, varieties, features.held_out_rows(split, photos=photos))


if __name__ == "__main__":
    main(sys.argv[1:])
