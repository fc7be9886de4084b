"""Chooses the cluster of a run, and refuses a run that would cost more than its budget."""

import logging
import math

from airflow.providers.common.compat.sdk import AirflowFailException

from fruits_airflow.emr.cost import ClusterSize, Work, cheapest
from fruits_airflow.settings import Settings
from fruits_contract.plan_summary import PlanSummary

log = logging.getLogger(__name__)


def choose_cluster(settings: Settings, work: Work, *, budget_usd: float | None) -> ClusterSize:
    """Return the cheapest cluster that meets the deadline, and log what it is expected to take and cost.

    Parameters
    ----------
    budget_usd
        What the run may cost; None: what the settings allow.

    Raises
    ------
    AirflowFailException
        Without Spot the run is expected to cost more.
    """
    cluster = cheapest(work, deadline_s=settings.deadline_s, max_nodes=settings.max_core_nodes)
    log.info("Cluster: %s x %s, expected to take %.0f minutes", cluster.nodes, cluster.core.name, cluster.seconds(work) / 60)
    log.info(
        "Expected cost: %.2f USD with Spot task nodes, %.2f USD without; S3's requests: %.2f USD",
        cluster.usd(work, spot=True),
        cluster.usd(work, spot=False),
        work.s3_usd,
    )
    if cluster.seconds(work) > settings.deadline_s:
        log.warning(
            "The deadline of %.0f minutes (deadline_s) cannot be met with %s core and task nodes (max_core_nodes)",
            settings.deadline_s / 60,
            settings.max_core_nodes,
        )
    allowed_usd = settings.budget_usd if budget_usd is None else budget_usd
    expected_usd = cluster.usd(work, spot=False) + work.s3_usd
    if expected_usd > allowed_usd:
        enough_usd = math.ceil(expected_usd * 100) / 100
        raise AirflowFailException(
            f"the run is expected to cost {expected_usd:.2f} USD without Spot, its budget is {allowed_usd:.2f} USD; nothing was "
            f"started. Trigger it with a budget_usd of {enough_usd:.2f} or more, or raise budget_usd in the Variable fruits"
        )
    return cluster


def summary_of(cluster: ClusterSize, work: Work, *, previous_run: str = "") -> PlanSummary:
    """Return what the run's report, and the record of its cost, compare with."""
    return PlanSummary(
        instance=cluster.core.name,
        nodes=cluster.nodes,
        expected_seconds=cluster.seconds(work),
        spot_usd=cluster.usd(work, spot=True),
        on_demand_usd=cluster.usd(work, spot=False),
        s3_usd=work.s3_usd,
        previous_run=previous_run,
    )
