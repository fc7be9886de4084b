"""Terminates the clusters of a deployment whose DAG run is over: the last resort, when neither teardown nor idle limit did it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Context

from fruits_airflow.bucket import Bucket
from fruits_airflow.emr import tags
from fruits_airflow.emr.live_clusters import LiveCluster, listed_clusters, live_cluster
from fruits_airflow.run_cost import record_cost
from fruits_airflow.settings import Settings

log = logging.getLogger(__name__)

# A younger cluster is left alone: its run may be about to record it, or its teardown to terminate it.
YOUNG = timedelta(minutes=10)
RUN_LIMIT = timedelta(days=3)  # the DAGs' dagrun_timeout; a test compares them


@dataclass(frozen=True)
class Orphan:
    """A cluster that was terminated, and why."""

    cluster: LiveCluster
    reason: str

    def __str__(self) -> str:
        started_at = self.cluster.created_at.astimezone(UTC)
        return f"cluster {self.cluster.id}, started at {started_at:%Y-%m-%d %H:%M} UTC: {self.reason}"


def check_for_orphans(emr: Any, settings: Settings, context: Context) -> None:
    """Terminate the deployment's orphans, and record what they have cost.

    Raises
    ------
    AirflowFailException
        There was one. It is terminated, but somebody should find out why it was left.
    RuntimeError
        There was none so far, but EMR or Airflow has refused a request: a retry looks again.
    """
    ti: Any = context["ti"]

    def is_alive(dag_id: str, dag_run_id: str) -> bool:
        return bool(ti.get_dr_count(dag_id=dag_id, run_ids=[dag_run_id], states=["queued", "running"]))

    orphans, errors = terminate_orphaned_clusters(emr, settings, is_alive=is_alive, now=datetime.now(UTC))
    for orphan in orphans:
        _record_cost(emr, settings, orphan.cluster)
    if orphans:
        failed = f"; not all clusters could be checked: {'; '.join(errors)}" if errors else ""
        raise AirflowFailException(f"Orphaned clusters found and terminated: {'; '.join(map(str, orphans))}{failed}")
    if errors:
        raise RuntimeError(f"Clusters could not be checked: {'; '.join(errors)}")
    log.info("No orphaned clusters")


def terminate_orphaned_clusters(
    emr: Any, settings: Settings, *, is_alive: Callable[[str, str], bool], now: datetime
) -> tuple[list[Orphan], list[str]]:
    """Terminate every cluster of the deployment whose run is over or deleted, or that is older than a run may be.

    Parameters
    ----------
    emr
        A boto3 client.
    is_alive
        Tells from `dag_id` and `dag_run_id` whether the DAG run exists and has not ended.
    now
        The time that the clusters' age counts to, with a time zone.

    Returns
    -------
    tuple of lists
        The terminated clusters, and one line per error: an error with one cluster does not stop the others.
    """
    own = tags.of_deployment(settings)
    orphans: list[Orphan] = []
    errors: list[str] = []
    # Listed completely before one is terminated: a retry after a failed listing would not find that one, and end as a success.
    for cluster_id in list(listed_clusters(emr)):
        try:
            cluster = live_cluster(emr, cluster_id)
            if cluster is None or not own.items() <= cluster.tags.items():
                continue
            reason = _reason(cluster, is_alive=is_alive, age=now - cluster.created_at)
            if not reason:
                continue
            emr.terminate_job_flows(JobFlowIds=[cluster.id])
        except Exception as error:
            log.exception("Cluster %s could not be checked or terminated", cluster_id)
            errors.append(f"{cluster_id}: {error}")
            continue
        orphans.append(Orphan(cluster, reason))
        log.warning("Terminated %s", orphans[-1])
    return orphans, errors


def _record_cost(emr: Any, settings: Settings, cluster: LiveCluster) -> None:
    """Record what a terminated cluster has cost; the run's own task did not, or too early. A failure is logged only."""
    if tags.RUN not in cluster.tags:
        return
    try:
        bucket = Bucket.of(settings.bucket, region=settings.region)
        record_cost(bucket, emr, run=cluster.tags[tags.RUN], cluster=cluster.id, now=datetime.now(UTC))
    except Exception:
        log.exception("The cost of cluster %s could not be recorded", cluster.id)


def _reason(cluster: LiveCluster, *, is_alive: Callable[[str, str], bool], age: timedelta) -> str:
    """Return why the cluster is an orphan; '' if it is none."""
    run = f"run {tags.dag_run_id(cluster.tags)!r} of {cluster.tags.get(tags.DAG_ID)!r}"
    if age > RUN_LIMIT:
        return f"older than {RUN_LIMIT.days} days, more than {run} may take"
    if is_alive(cluster.tags.get(tags.DAG_ID, ""), tags.dag_run_id(cluster.tags)):
        log.info("Cluster %s is in use by %s", cluster.id, run)
        return ""
    if age < YOUNG:
        log.info("Cluster %s is left to the teardown for now: %s is over or deleted", cluster.id, run)
        return ""
    return f"{run} is over or deleted"
