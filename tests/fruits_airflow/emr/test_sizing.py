"""A run over its budget stops before it has a cluster, and says how to go on."""

from dataclasses import replace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from fruits_airflow.emr.cost import FeaturizingWork
from fruits_airflow.emr.sizing import choose_cluster, summary_of
from fruits_airflow.settings import Settings

WORK = FeaturizingWork(photos=1_000_000, size_bytes=5_700_000_000, engine="litert", gets=1_000_000)


def test_a_run_within_its_budget_gets_the_cheapest_cluster(settings: Settings) -> None:
    cluster = choose_cluster(settings, WORK, budget_usd=None)
    summary = summary_of(cluster, WORK, previous_run="r0")
    assert (summary.instance, summary.nodes, summary.previous_run) == (cluster.core.name, cluster.nodes, "r0")
    assert 0 < summary.spot_usd < summary.on_demand_usd < settings.budget_usd


@pytest.mark.parametrize("budget_usd", [None, 0.5])
def test_a_run_over_its_budget_says_what_it_costs_and_how_to_allow_it(settings: Settings, budget_usd: float | None) -> None:
    deployment = replace(settings, budget_usd=0.5) if budget_usd is None else settings
    with pytest.raises(AirflowFailException) as refused:
        choose_cluster(deployment, WORK, budget_usd=budget_usd)
    message = str(refused.value)
    assert "its budget is 0.50 USD; nothing was started" in message
    assert "raise budget_usd in the Variable fruits" in message
    allowed = float(message.split("budget_usd of ")[1].split(" ")[0])
    assert choose_cluster(deployment, WORK, budget_usd=allowed).nodes > 1, "the figure that the message names is enough"


def test_the_run_may_have_a_higher_budget_than_the_deployment(settings: Settings) -> None:
    assert choose_cluster(replace(settings, budget_usd=0.01), WORK, budget_usd=5.0)
