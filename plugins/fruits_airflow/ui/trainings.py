"""The runs of `fruits_classifier` that have evaluated a classifier."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fruits_airflow.bucket import Bucket
from fruits_airflow.current import read_current
from fruits_airflow.ui.airflow_runs import AirflowRun
from fruits_airflow.ui.features_runs import READERS
from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """One row of the table of classifiers.

    Parameters
    ----------
    metrics
        By name, e.g. `fruit_accuracy`, on held-out photos.
    is_current
        Whether the services use this classifier.
    reasons
        Why it is worse than the one that was current; empty when it is not.
    """

    run: str
    at: str
    model_id: str
    metrics: dict[str, float]
    is_current: bool
    reasons: tuple[str, ...]


def read_trainings(bucket: Bucket, known: Mapping[str, AirflowRun]) -> list[TrainingRow]:
    """Return the trainings that have a model card, the newest first."""
    current = read_current(bucket).classifier.get("model_id")
    names = bucket.folders(layout.RUNS)
    with ThreadPoolExecutor(READERS) as readers:
        manifests = list(readers.map(lambda run: bucket.read_json(layout.manifest(run, EVALUATE_CLASSIFIER.name)), names))
    trainings = [
        TrainingRow(
            run=run,
            at=known[run].run_after if run in known else manifest["started_at"],
            model_id=manifest["digests"]["classifier"],
            metrics=manifest["figures"]["metrics"],
            is_current=manifest["digests"]["classifier"] == current,
            reasons=tuple(str(found["message"]) for found in manifest["findings"] if found["severity"] == "red"),
        )
        for run, manifest in zip(names, manifests, strict=True)
        if manifest
    ]
    return sorted(trainings, key=lambda training: training.at, reverse=True)
