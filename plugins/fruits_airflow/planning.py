"""What a run has to do, worked out before anything costs money: which photos are new, fit or transform, which cluster.

It must not know operators; `plan_run` is called by the DAG's first task after the wait.
"""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from fruits_airflow.current import read_current
from fruits_airflow.emr.cluster import job_flow
from fruits_airflow.emr.cost import Work, cheapest
from fruits_airflow.settings import Settings
from fruits_airflow.tables import Table
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURES_PIPELINE, FeaturesRunParams

log = logging.getLogger(__name__)

ROWS_TOGETHER = 8192  # of the list of photos: a task reads only the row groups that hold its own


def plan_run(s3: Any, settings: Settings, *, dag_run_id: str, drop: str, asked: dict[str, Any]) -> dict[str, Any]:
    """List the drop once, subtract what is known, and decide.

    Writes `runs/<run>/{params.json,batch.parquet,retained.json}`.

    Parameters
    ----------
    s3
        A boto3 client.
    asked
        The DAG's params.

    Returns
    -------
    dict
        `params` (those of `FeaturesRunParams`), `region`, `photos` (number in the batch) and `job_flow` (the RunJobFlow request).

    Raises
    ------
    AirflowSkipException
        Nothing new: the run ends here without a cluster.
    AirflowFailException
        mode=transform without a current PCA, a release that is not there, or one without the engine asked for.
    """
    wanted = FEATURES_PIPELINE.resolve(asked)
    run = layout.run_name(dag_run_id)
    release = wanted["release"] or settings.release
    card = _release_card(s3, settings.bucket, release)
    if wanted["engine"] == "tensorflow" and not card["tensorflow"]:
        raise AirflowFailException(
            f"release {release} has no TensorFlow for engine=tensorflow; use another engine, or a release made by "
            "`make release TENSORFLOW=1`"
        )
    extractor = str(card["extractor"])
    features = Table(settings.bucket, layout.FEATURES_TABLE, settings.region)
    rejects = Table(settings.bucket, layout.REJECTS_TABLE, settings.region)

    known = _known(features, drop, extractor) | _known(rejects, drop, extractor)
    photos = list(_photos(s3, settings.bucket, drop))
    batch = [photo for photo in photos if (photo["path"], photo["etag"]) not in known]
    log.info("Drop %s: %s photos, %s new or changed", drop, len(photos), len(batch))

    current = read_current(s3, settings.bucket).pca_of(extractor)
    retained = features.files()
    if wanted["mode"] == "transform" and not current:
        raise AirflowFailException("mode=transform, but there is no current PCA for this extractor; use mode=auto or mode=fit")
    is_fit = wanted["mode"] == "fit" or not current
    if not batch and not (is_fit and retained):
        log.info("Nothing new in drop %s: no cluster is needed", drop)
        raise AirflowSkipException(f"nothing new in drop {drop}")

    params = FeaturesRunParams(
        bucket=settings.bucket,
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
    table = pa.Table.from_pylist(batch, schema=pa.schema([(name, _ARROW[kind]) for name, kind in columns.BATCH.items()]))
    content = io.BytesIO()
    pq.write_table(table, content, row_group_size=ROWS_TOGETHER)
    for key, body in {
        layout.batch(run): content.getvalue(),
        layout.retained(run): json.dumps(retained).encode(),
        layout.run_params(run): (json.dumps({"dag_run_id": dag_run_id, **asdict(params)}, indent=1) + "\n").encode(),
    }.items():
        s3.put_object(Bucket=settings.bucket, Key=key, Body=body)
    return {
        "params": asdict(params),
        "region": settings.region,
        "photos": len(batch),
        "job_flow": job_flow(settings, params, nodes=_nodes(settings, batch, engine=params.engine)),
    }


def _nodes(settings: Settings, batch: list[dict[str, Any]], *, engine: str) -> int:
    """Return the number of core nodes of the cheapest cluster that keeps the deadline, and log what it is expected to cost."""
    work = Work(photos=len(batch), size_bytes=sum(photo["size_bytes"] for photo in batch), engine=engine)
    cluster = cheapest(work, deadline_s=settings.deadline_s, max_nodes=settings.max_core_nodes)
    minutes = cluster.seconds(work) / 60
    log.info(
        "Cluster: %s x %s; expected: %.0f minutes, %.2f USD with Spot core nodes, %.2f USD without; S3's requests: %.2f USD",
        *(cluster.nodes, cluster.core.name, minutes, cluster.usd(work, spot=True), cluster.usd(work, spot=False), work.s3_usd),
    )
    if cluster.seconds(work) > settings.deadline_s:
        log.warning(
            "The deadline of %.0f minutes (deadline_s) will not be kept with %s core nodes (max_core_nodes)",
            *(settings.deadline_s / 60, settings.max_core_nodes),
        )
    return cluster.nodes


_ARROW = {"string": pa.string(), "bigint": pa.int64()}


def _photos(s3: Any, bucket: str, drop: str) -> Iterator[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=layout.raw_prefix(drop))
    for page in pages:
        for item in page.get("Contents", []):
            key = item["Key"]
            if key != layout.ready(drop) and not key.endswith("/"):
                yield {
                    "path": key,
                    "etag": item["ETag"].strip('"'),
                    "size_bytes": item["Size"],
                    "label": layout.variety_of(key),
                    "contributor": "",
                }


def _known(table: Table, drop: str, extractor: str) -> set[tuple[str, str]]:
    rows = table.rows("path", "etag", "extractor", drop=drop)
    mine = rows.filter(pc.equal(rows["extractor"], extractor))
    return set(zip(mine["path"].to_pylist(), mine["etag"].to_pylist(), strict=True))


def _release_card(s3: Any, bucket: str, release: str) -> dict[str, Any]:
    try:
        answer = s3.get_object(Bucket=bucket, Key=layout.release_card(release))
    except s3.exceptions.NoSuchKey:
        found = s3.list_objects_v2(Bucket=bucket, Prefix="code/", Delimiter="/").get("CommonPrefixes", [])
        names = ", ".join(item["Prefix"].split("/")[1] for item in found) or "none"
        raise AirflowFailException(f"release {release!r} is not in s3://{bucket}/code/; there are: {names}") from None
    card: dict[str, Any] = json.loads(answer["Body"].read())
    return card
