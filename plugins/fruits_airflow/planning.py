"""Plans a run before anything costs money: which photos are new, fit or transform, which cluster."""

import json
import logging
import tempfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from fruits_airflow.bucket import Bucket
from fruits_airflow.contributed_photos import with_contributors
from fruits_airflow.current import read_current
from fruits_airflow.drops import gets_of, photos_of
from fruits_airflow.emr.cluster import job_flow
from fruits_airflow.emr.cost import FeaturizingWork
from fruits_airflow.emr.sizing import choose_cluster, summary_of
from fruits_airflow.plan import Plan
from fruits_airflow.run_params import write_run_params
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURES_PIPELINE, FeaturesRunParams

log = logging.getLogger(__name__)

# A stage that hangs should not cost hours of a cluster, and one on a slow day must not be ended.
LEAST_LIMIT_S, LIMIT_FACTOR = 1800, 10
ROW_GROUP_ROWS = 8192  # of the list of photos: a task reads only the row groups that hold its own


def plan_run(bucket: Bucket, settings: Settings, *, dag_run_id: str, drop: str, requested: dict[str, Any]) -> Plan:
    """List the drop once, subtract the photos that are known, and decide.

    Writes `runs/<run>/{params.json,plan.json,batch.parquet,retained.json}`.

    Parameters
    ----------
    requested
        The trigger parameters of the DAG run.

    Raises
    ------
    AirflowSkipException
        Nothing new: the run ends here without a cluster.
    AirflowFailException
        mode=transform without a current PCA, a release that does not exist, or one without the requested engine or that cannot
        read the drop's shards; or the run is expected to cost more than its budget.
    """
    wanted = FEATURES_PIPELINE.resolve(requested)
    run = layout.run_name(dag_run_id)
    release = wanted["release"] or settings.release
    card = read_release_card(bucket, release)
    if wanted["engine"] == "tensorflow" and not card["tensorflow"]:
        raise AirflowFailException(
            f"release {release} has no TensorFlow for engine=tensorflow; use another engine, or a release built by "
            "`make release TENSORFLOW=1`"
        )
    extractor = str(card["extractor"])
    features = PublishedTable(bucket, layout.FEATURES_TABLE)
    rejects = PublishedTable(bucket, layout.REJECTS_TABLE)

    known = _known(features, rejects, drop=drop, extractor=extractor)
    photos = with_contributors(bucket, photos_of(bucket, drop), drop=drop)
    batch = _without_known(photos, known)
    log.info("Drop %s: %s photos, %s new or changed", drop, len(photos), len(batch))
    if pc.any(pc.not_equal(batch["shard"], "")).as_py() and not card.get("shards"):
        raise AirflowFailException(
            f"drop {drop} has photos in shards, which release {release} cannot read; use a release built by this version "
            "(make release)"
        )

    current = read_current(bucket).pca_of(extractor)
    retained = features.files()
    if wanted["mode"] == "transform" and not current:
        raise AirflowFailException("mode=transform, but there is no current PCA for this extractor; use mode=auto or mode=fit")
    is_fit = wanted["mode"] == "fit" or not current
    if not len(batch) and not (is_fit and retained):
        log.info("Nothing new in drop %s: no cluster is needed", drop)
        raise AirflowSkipException(f"nothing new in drop {drop}")

    params = FeaturesRunParams(
        bucket=bucket.name,
        run=run,
        drop=drop,
        release=release,
        extractor=extractor,
        pca=run if is_fit else str(current),
        mode="fit" if is_fit else "transform",
        variance=wanted["variance"],
        components=wanted["components"] or 0,
        max_reject_ratio=wanted["max_reject_ratio"],
        engine=wanted["engine"],
    )
    work = FeaturizingWork(
        photos=len(batch),
        size_bytes=pc.sum(batch["size_bytes"]).as_py() or 0,
        engine=params.engine,
        gets=gets_of(batch),
        retained=features.count_rows() if is_fit else 0,
    )
    cluster = choose_cluster(settings, work, budget_usd=wanted["budget_usd"])
    _write_inputs(bucket, params, batch=batch, retained=retained, dag_run_id=dag_run_id)
    summary = summary_of(cluster, work, previous_run=PublishedTable(bucket, layout.PROJECTED_TABLE).newest_run())
    bucket.write(layout.plan_summary(run), summary.to_json().encode())
    return Plan(
        pipeline=FEATURES_PIPELINE,
        params=params,
        region=settings.region,
        job_flow=job_flow(settings, params, nodes=cluster.nodes),
        stage_limit_s=stage_limit_s(settings, expected_s=cluster.seconds(work)),
    )


def stage_limit_s(settings: Settings, *, expected_s: float) -> int:
    """Return how long a stage may take: far longer than the whole run is expected to, and no longer than the settings allow."""
    return min(settings.stage_limit_s, LEAST_LIMIT_S + round(LIMIT_FACTOR * expected_s))


def _write_inputs(bucket: Bucket, params: FeaturesRunParams, *, batch: pa.Table, retained: list[str], dag_run_id: str) -> None:
    with tempfile.TemporaryFile() as file:
        pq.write_table(batch, file, row_group_size=ROW_GROUP_ROWS)
        file.seek(0)
        bucket.upload(layout.batch(params.run), file)
    bucket.write(layout.retained(params.run), json.dumps(retained).encode())
    write_run_params(bucket, params, dag_id=FEATURES_PIPELINE.dag_id, dag_run_id=dag_run_id)


def _known(features: PublishedTable, rejects: PublishedTable, *, drop: str, extractor: str) -> pa.Table:
    """Return path and ETag of the photos of a drop that are done.

    A reject whose features are still published is not: its publication failed halfway, and the next one takes them out.
    """
    done = features.rows("path", "etag", drop=drop, extractor=extractor)
    rejected = rejects.rows("path", "etag", drop=drop, extractor=extractor)
    if len(rejected):
        have_features = features.rows("path", drop=drop)["path"]
        have_both = have_features.filter(pc.is_in(have_features, value_set=rejected["path"]))
        rejected = rejected.filter(pc.invert(pc.is_in(rejected["path"], value_set=have_both)))
    return pa.concat_tables([done, rejected])


def _without_known(photos: pa.Table, known: pa.Table) -> pa.Table:
    """Return the photos whose path and ETag are not among the known ones."""
    if not len(known):
        return photos
    is_known = np.zeros(len(photos), bool)
    # In shares, by the first character of the ETag: the hash table of a million photos takes as much memory as their list.
    for first in pc.unique(pc.utf8_slice_codeunits(known["etag"], 0, 1)).to_pylist():
        rows = np.flatnonzero(pc.starts_with(photos["etag"], first).to_numpy())
        some = _identities(known.filter(pc.starts_with(known["etag"], first)))
        is_known[rows] = pc.is_in(_identities(photos.select(["path", "etag"]).take(rows)), value_set=some).to_numpy()
    return photos.filter(pa.array(~is_known))


def _identities(photos: pa.Table) -> pa.ChunkedArray:
    """Return path and ETag of each photo as one text; an ETag holds no blank."""
    return pc.binary_join_element_wise(photos["etag"], photos["path"], " ")


def read_release_card(bucket: Bucket, release: str) -> dict[str, Any]:
    """Return `release.json` of a release; a release that does not exist fails the run, naming those that do."""
    card: dict[str, Any] | None = bucket.read_json(layout.release_card(release))
    if card is None:
        existing = ", ".join(bucket.folders(layout.CODE)) or "none"
        raise AirflowFailException(f"release {release!r} is not in {bucket.uri(layout.CODE)}; existing: {existing}")
    return card
