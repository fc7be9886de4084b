"""Plans a training: which published features it reads, which classifier it is compared with, which cluster."""

import json
import logging
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from fruits_airflow.bucket import Bucket
from fruits_airflow.current import read_current
from fruits_airflow.emr.cluster import job_flow
from fruits_airflow.emr.cost import TrainingWork
from fruits_airflow.emr.sizing import choose_cluster, summary_of
from fruits_airflow.plan import Plan
from fruits_airflow.planning import read_release_card
from fruits_airflow.run_params import write_run_params
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_contract import layout
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE, ClassifierRunParams

log = logging.getLogger(__name__)


def plan_training(bucket: Bucket, settings: Settings, *, dag_run_id: str, requested: dict[str, Any]) -> Plan:
    """List the files of the published features and decide on the cluster.

    Writes `runs/<run>/{params.json,plan.json,retained.json}`.

    Parameters
    ----------
    requested
        The trigger parameters of the DAG run.

    Raises
    ------
    AirflowSkipException
        No features are published: the run ends here without a cluster.
    AirflowFailException
        A release that does not exist; or the run is expected to cost more than its budget.
    """
    wanted = CLASSIFIER_PIPELINE.resolve(requested)
    release = wanted["release"] or settings.release
    extractor = str(read_release_card(bucket, release)["extractor"])
    features = PublishedTable(bucket, layout.FEATURES_TABLE)
    rows = features.count_rows()
    if not rows:
        log.info("No features are published: there is nothing to train on, and no cluster is needed")
        raise AirflowSkipException("no features are published")
    params = ClassifierRunParams(
        bucket=bucket.name,
        run=layout.run_name(dag_run_id),
        release=release,
        extractor=extractor,
        current=read_current(bucket).classifier_of(extractor),
        sure_above=wanted["sure_above"],
    )
    work = TrainingWork(rows=rows)
    cluster = choose_cluster(settings, work, budget_usd=wanted["budget_usd"])
    bucket.write(layout.plan_summary(params.run), summary_of(cluster, work).to_json().encode())
    bucket.write(layout.retained(params.run), json.dumps(features.files()).encode())
    write_run_params(bucket, params, dag_id=CLASSIFIER_PIPELINE.dag_id, dag_run_id=dag_run_id)
    log.info("%s rows of features; current classifier: %s", rows, params.current or "none")
    return Plan(
        pipeline=CLASSIFIER_PIPELINE,
        params=params,
        region=settings.region,
        job_flow=job_flow(settings, params, nodes=cluster.nodes),
        stage_limit_s=settings.stage_limit_s,
    )
