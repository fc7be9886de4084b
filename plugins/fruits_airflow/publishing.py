"""Publishes a run: commits its files to the tables and makes its PCA current, unless a finding is red."""

import json
import logging

from airflow.providers.common.compat.sdk import AirflowFailException

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import has_run, is_rolled_back
from fruits_airflow.current import make_current, read_current
from fruits_airflow.lease import Lease, lease_tables
from fruits_airflow.tables import MissingFiles, PublishedTable
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURIZE, TRANSFORM_PCA, VALIDATE, FeaturesRunParams
from fruits_contract.manifest import Manifest, WrittenFile
from fruits_contract.pipeline import RunParams, Stage
from fruits_contract.plan_summary import PlanSummary

log = logging.getLogger(__name__)


def publish_run(bucket: Bucket, params: RunParams) -> dict[str, str]:
    """Publish a run; doing it twice changes nothing.

    One commit per table. Features are committed last, because they tell the next run which photos are done. When publishing fails
    halfway, it is completed by another call, or by running the drop again.

    Raises
    ------
    AirflowFailException
        A finding is red, another run has changed what this one was planned on, the run was rolled back, or its files are gone:
        nothing is published.
    TablesAreBusy
        Another publication, rollback or compaction took too long.
    """
    assert isinstance(params, FeaturesRunParams), "only runs of fruits_features have tables to publish"
    verdict = _manifest(bucket, params, VALIDATE)
    if verdict.red:
        lines = [f"{finding.check}: {finding.message}" for finding in verdict.red]
        raise AirflowFailException("not published, because validate found:\n  " + "\n  ".join(lines))
    with lease_tables(bucket, holder=params.run) as lease:
        try:
            _publish(bucket, params, lease)
        except MissingFiles as error:
            raise AirflowFailException(
                f"{error}: a vacuum has deleted what was not published in time; run the drop again"
            ) from error
    return {"run": params.run, "drop": params.drop, "pca": params.pca}


def _publish(bucket: Bucket, params: FeaturesRunParams, lease: Lease) -> None:
    projected = PublishedTable(bucket, layout.PROJECTED_TABLE)
    rejects = PublishedTable(bucket, layout.REJECTS_TABLE)
    features = PublishedTable(bucket, layout.FEATURES_TABLE)
    opened = {table.key: table.open() for table in (projected, rejects, features)}
    if any(is_rolled_back(table, params.run) for table in opened.values()):
        raise AirflowFailException(f"run {params.run} was rolled back; run the drop again")
    if has_run(opened[features.key], params.run):
        # Other runs may have been published since: their PCA stays current, and their rows stay.
        log.info("Run %s is published already", params.run)
        return
    _check_plan_is_valid(bucket, params, features)

    featurized = _manifest(bucket, params, FEATURIZE).files
    new_features = _below(layout.FEATURES_TABLE, featurized)
    new_rejects = _below(layout.REJECTS_TABLE, featurized)
    new_projections = _manifest(bucket, params, TRANSFORM_PCA).files
    # All of them before the first commit, which would not be taken back.
    for table, files in ((projected, new_projections), (rejects, new_rejects), (features, new_features)):
        table.check_existing(files)

    def commit(
        table: PublishedTable, files: tuple[WrittenFile, ...], *, gone: tuple[WrittenFile, ...], even_empty: bool = False
    ) -> None:
        is_new = table.publish(files, run=params.run, gone=gone, even_empty=even_empty, before_commit=lease.check)
        log.info("%s: %s", table.key, f"{sum(file.rows for file in files)} rows committed" if is_new else "nothing to commit")

    # A photo that has become unreadable leaves features and projections, and a repaired one the rejects.
    commit(projected, new_projections, gone=new_rejects)
    commit(rejects, new_rejects, gone=new_features)
    if params.mode == "fit":
        lease.check()
        _make_current(bucket, params)
    commit(features, new_features, gone=new_rejects, even_empty=True)


def _make_current(bucket: Bucket, params: FeaturesRunParams) -> None:
    """Make the run's PCA current; the entry that it replaces is kept for a rollback."""
    replaced = read_current(bucket).models.get("pca", {})
    if replaced.get("run") != params.run:
        bucket.write(layout.replaced_pca(params.run), json.dumps(replaced).encode())
    model = {"model_id": params.pca, "extractor": params.extractor, "run": params.run}
    is_new = make_current(bucket, kind="pca", model=model)
    log.info("%s: PCA %s %s", layout.CURRENT_MODELS, params.pca, "is now current" if is_new else "was already current")


def _check_plan_is_valid(bucket: Bucket, params: FeaturesRunParams, features: PublishedTable) -> None:
    """Refuse a run after which photos would lack a projection on the current PCA, or keep a stale one."""
    if params.mode == "transform":
        current = read_current(bucket).pca_of(params.extractor)
        if current != params.pca:
            raise AirflowFailException(f"PCA {current} has become current since this run was planned; run the drop again")
        return
    # Files rather than runs: a photo that has become unreadable takes its row out of an earlier run's file.
    if not features.is_unchanged_since(json.loads(bucket.read(layout.retained(params.run)))):
        raise AirflowFailException("the published features have changed since this fit was planned; run the drop again")
    # A fit without new photos leaves the files as they are.
    planned_after = PlanSummary.from_json(bucket.read(layout.plan_summary(params.run))).previous_run
    newest = PublishedTable(bucket, layout.PROJECTED_TABLE).newest_run()
    if newest not in ("", planned_after, params.run):
        raise AirflowFailException(f"run {newest} was published since this fit was planned; run the drop again")


def _manifest(bucket: Bucket, params: FeaturesRunParams, stage: Stage) -> Manifest:
    return Manifest.from_json(bucket.read(layout.manifest(params.run, stage.name)))


def _below(table: str, files: tuple[WrittenFile, ...]) -> tuple[WrittenFile, ...]:
    return tuple(file for file in files if file.key.startswith(f"{table}/"))
