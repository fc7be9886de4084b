"""Publishes a run: commits its files to the tables and makes its PCA current, unless a finding is red."""

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


def publish_run(bucket: Bucket, params: RunParams) -> dict[str, str]:
    """Publish a run; doing it twice changes nothing.

    Features are committed last, because they tell the next run which photos are done. When publishing fails halfway, it is
    completed by another call, or by running the drop again.

    Raises
    ------
    AirflowFailException
        A finding is red, or another run has changed what this one was planned on: nothing is published.
    """
    assert isinstance(params, FeaturesRunParams), "only runs of fruits_features have tables to publish"
    published = {"run": params.run, "drop": params.drop, "pca": params.pca}
    verdict = _manifest(bucket, params, VALIDATE)
    if verdict.red:
        lines = [f"{finding.check}: {finding.message}" for finding in verdict.red]
        raise AirflowFailException("not published, because validate found:\n  " + "\n  ".join(lines))
    projected = PublishedTable(bucket, layout.PROJECTED_TABLE)
    rejects = PublishedTable(bucket, layout.REJECTS_TABLE)
    features = PublishedTable(bucket, layout.FEATURES_TABLE)
    if features.has(params.run):
        # Other runs may have been published since: their PCA stays current, and their rows stay.
        log.info("Run %s is published already", params.run)
        return published
    _check_plan_is_valid(bucket, params, features)

    featurized = _manifest(bucket, params, FEATURIZE).files
    new_features = _below(layout.FEATURES_TABLE, featurized)
    new_rejects = _below(layout.REJECTS_TABLE, featurized)
    _commit(projected, _manifest(bucket, params, TRANSFORM_PCA).files, run=params.run)
    _commit(rejects, new_rejects, run=params.run)
    repaired = rejects.remove(new_features, drop=params.drop, run=params.run)
    log.info("%s rejects removed, because their photos were repaired", repaired)
    for table in (projected, features):
        removed = table.remove(new_rejects, drop=params.drop, run=params.run)
        log.info("%s: %s rows removed, because their photos have become unreadable", table.key, removed)
    if params.mode == "fit":
        model = {"model_id": params.pca, "extractor": params.extractor, "run": params.run}
        is_new = make_current(bucket, kind="pca", model=model)
        log.info("%s: PCA %s %s", layout.CURRENT_MODELS, params.pca, "is now current" if is_new else "was already current")
    _commit(features, new_features, run=params.run)
    return published


def _commit(table: PublishedTable, files: tuple[WrittenFile, ...], *, run: str) -> None:
    is_new = table.publish(files, run=run)
    log.info("%s: %s", table.key, f"{sum(file.rows for file in files)} rows committed" if is_new else "nothing to commit")


def _check_plan_is_valid(bucket: Bucket, params: FeaturesRunParams, features: PublishedTable) -> None:
    """Refuse a run after which photos would lack a projection on the current PCA, or keep a stale one."""
    if params.mode == "transform":
        current = read_current(bucket).pca_of(params.extractor)
        if current != params.pca:
            raise AirflowFailException(f"PCA {current} has become current since this run was planned; run the drop again")
        return
    # Files rather than runs: a photo that has become unreadable takes its row out of an earlier run's file. This run may have
    # done so itself, in a publication that failed halfway.
    is_changed = features.files() != json.loads(bucket.read(layout.retained(params.run)))
    if is_changed and not features.last_changed_by_removal_of(params.run):
        raise AirflowFailException("the published features have changed since this fit was planned; run the drop again")


def _manifest(bucket: Bucket, params: FeaturesRunParams, stage: Stage) -> Manifest:
    return Manifest.from_json(bucket.read(layout.manifest(params.run, stage.name)))


def _below(table: str, files: tuple[WrittenFile, ...]) -> tuple[WrittenFile, ...]:
    return tuple(file for file in files if file.key.startswith(f"{table}/"))
