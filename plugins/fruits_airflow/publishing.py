"""Publishes a run: refuses it when a finding is red, else commits its files and makes its models current, once."""

import json
import logging

from airflow.sdk.exceptions import AirflowFailException

from fruits_airflow.bucket import Bucket
from fruits_airflow.current import make_current, read_current
from fruits_airflow.tables import PublishedTable
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, TRANSFORM_PCA, VALIDATE, FeaturesRunParams
from fruits_contract.manifest import Manifest, WrittenFile
from fruits_contract.pipeline import RunParams, Stage

log = logging.getLogger(__name__)

# Features come last, because they tell the next run which photos are done: when publishing fails halfway, running the drop
# again completes it.
ORDER = (layout.PROJECTED_TABLE, layout.REJECTS_TABLE, layout.FEATURES_TABLE)


def publish_run(bucket: Bucket, params: RunParams) -> dict[str, str]:
    """Publish a run; doing it twice changes nothing.

    Raises
    ------
    AirflowFailException
        A finding is red, or another run has changed what this one was planned on: nothing is published.
    """
    assert isinstance(params, FeaturesRunParams), "only runs of fruits_features have tables to publish"
    verdict = _manifest(bucket, params, VALIDATE)
    if verdict.red:
        lines = [f"{finding.check}: {finding.message}" for finding in verdict.red]
        raise AirflowFailException("not published, because validate found:\n  " + "\n  ".join(lines))
    tables = {key: PublishedTable(bucket, key) for key in ORDER}
    if not tables[layout.FEATURES_TABLE].has(params.run):
        _check_plan_is_valid(bucket, params, tables[layout.FEATURES_TABLE])

    featurized = _manifest(bucket, params, FEATURIZE).files
    files = {
        layout.PROJECTED_TABLE: _manifest(bucket, params, TRANSFORM_PCA).files,
        layout.REJECTS_TABLE: _below(layout.REJECTS_TABLE, featurized),
        layout.FEATURES_TABLE: _below(layout.FEATURES_TABLE, featurized),
    }
    for key, table in tables.items():
        is_new = table.publish(files[key], run=params.run)
        rows = sum(file.rows for file in files[key])
        log.info("%s: %s", key, f"{rows} rows committed" if is_new else "nothing to commit")
    repaired = tables[layout.REJECTS_TABLE].remove(files[layout.FEATURES_TABLE], drop=params.drop, run=params.run)
    log.info("%s rejects removed, because their photos were repaired", repaired)
    for key in (layout.FEATURES_TABLE, layout.PROJECTED_TABLE):
        removed = tables[key].remove(files[layout.REJECTS_TABLE], drop=params.drop, run=params.run)
        log.info("%s: %s rows removed, because their photos have become unreadable", key, removed)

    if params.mode == "fit":
        model = {"model_id": params.pca, "extractor": params.extractor, "run": params.run}
        is_new = make_current(bucket, kind="pca", model=model)
        log.info("%s: PCA %s %s", layout.CURRENT_MODELS, params.pca, "is now current" if is_new else "was already current")
    return {"run": params.run, "drop": params.drop, "pca": params.pca}


def _check_plan_is_valid(bucket: Bucket, params: FeaturesRunParams, features: PublishedTable) -> None:
    """Refuse a run that would leave photos without a projection on the current PCA, because another was published meanwhile."""
    if params.mode == "transform":
        current = read_current(bucket).pca_of(params.extractor)
        if current != params.pca:
            raise AirflowFailException(f"PCA {current} has become current since this run was planned; run the drop again")
        return
    planned = json.loads(bucket.read(layout.retained(params.run)))
    others = _runs(features.files()) - _runs(planned)
    if others:
        raise AirflowFailException(
            f"this fit lacks the photos that were published after it was planned, by {', '.join(sorted(others))}; "
            "run the drop again"
        )


def _runs(files: list[str]) -> set[str]:
    return {layout.partition_values(key)["run"] for key in files}


def _manifest(bucket: Bucket, params: FeaturesRunParams, stage: Stage) -> Manifest:
    return Manifest.from_json(bucket.read(layout.manifest(params.run, stage.name)))


def _below(table: str, files: tuple[WrittenFile, ...]) -> tuple[WrittenFile, ...]:
    return tuple(file for file in files if file.key.startswith(f"{table}/"))
