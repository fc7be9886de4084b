"""Which models may have been trained with a photo: from what each run had listed when it was planned."""

from datetime import datetime

from fruits_airflow.bucket import Bucket
from fruits_airflow.run_params import dag_id_of, read_run_params
from fruits_contract import layout
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE, EVALUATE_CLASSIFIER, TRAIN_CLASSIFIER
from fruits_contract.features_pipeline import FEATURES_PIPELINE

Models = dict[str, list[str]]


def models_trained_with(bucket: Bucket, drops: set[str], *, since: datetime) -> Models:
    """Return the ids of PCAs and classifiers whose run has read features of the drops.

    "May have been": a run lists the drop's files, not the photo's row. Too many are named rather than too few.
    """
    found: dict[str, set[str]] = {"pca": set(), "classifier": set()}
    if not drops:
        return {kind: [] for kind in found}
    folders = tuple(layout.features_drop(drop) for drop in drops)
    runs = {
        version.key.split("/")[1]
        for version in bucket.versions(layout.RUNS)
        if version.modified >= since and version.key == layout.run_params(version.key.split("/")[1])
    }
    for run in runs:
        params = read_run_params(bucket, run)
        has_read = any(str(key).startswith(folders) for key in bucket.read_json(layout.retained(run)) or [])
        if dag_id_of(params) == FEATURES_PIPELINE.dag_id and params["mode"] == "fit" and (has_read or params["drop"] in drops):
            found["pca"].add(params["pca"])
        elif dag_id_of(params) == CLASSIFIER_PIPELINE.dag_id and has_read:
            for stage in (TRAIN_CLASSIFIER, EVALUATE_CLASSIFIER):
                digests = (bucket.read_json(layout.manifest(run, stage.name)) or {}).get("digests", {})
                found["classifier"] |= {digests["classifier"]} if "classifier" in digests else set()
    return {kind: sorted(ids) for kind, ids in found.items()}
