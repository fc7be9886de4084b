"""The cluster is the cheapest that keeps the deadline, and its price is the sum of what it says."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_airflow.emr import cost
from fruits_airflow.emr.cost import FIXED_S, PHOTOS_PER_S_AND_VCPU, Cluster, Work, cheapest, explain
from fruits_airflow.emr.prices import DISK_USD_PER_HOUR, INSTANCES, PRIMARIES, SPOT_SHARE
from fruits_contract.features_pipeline import ENGINES

ROOT = Path(__file__).resolve().parents[3]

works = st.builds(
    Work,
    photos=st.integers(0, 10**8),
    size_bytes=st.integers(0, 10**14),
    engine=st.sampled_from(sorted(PHOTOS_PER_S_AND_VCPU)),
)
deadlines = st.integers(1, 48 * 3600)
limits = st.integers(1, 30)


def small(photos: int) -> Work:
    return Work(photos=photos, size_bytes=photos * 5_700, engine="litert")


@given(works, deadlines, limits)
def test_nothing_cheaper_keeps_the_deadline(work: Work, deadline_s: int, max_nodes: int) -> None:
    chosen = cheapest(work, deadline_s=deadline_s, max_nodes=max_nodes)
    assert 1 <= chosen.nodes <= max_nodes
    others = [Cluster(core=core, nodes=nodes) for core in INSTANCES for nodes in range(1, max_nodes + 1)]
    in_time = [other for other in others if other.seconds(work) <= deadline_s]
    if in_time:
        assert chosen.seconds(work) <= deadline_s
        assert chosen.usd(work, spot=True) <= min(other.usd(work, spot=True) for other in in_time)
    else:
        assert chosen.seconds(work) == min(other.seconds(work) for other in others)
        assert chosen.nodes == max_nodes or work.vcpu_s == 0


@given(works, limits)
def test_a_shorter_deadline_is_never_cheaper(work: Work, max_nodes: int) -> None:
    loose = cheapest(work, deadline_s=10**9, max_nodes=max_nodes)
    tight = cheapest(work, deadline_s=3600, max_nodes=max_nodes)
    assert tight.usd(work, spot=True) >= loose.usd(work, spot=True)


@pytest.mark.parametrize(("photos", "nodes"), [(0, 1), (1, 1), (100_000, 1), (50_000_000, 10)])
def test_small_batches_get_one_node_and_huge_ones_all(photos: int, nodes: int) -> None:
    assert cheapest(small(photos), deadline_s=7200, max_nodes=10).nodes == nodes


def test_a_million_photos_get_more_than_one_node_because_the_primary_costs_too() -> None:
    assert 1 < cheapest(small(10**6), deadline_s=7200, max_nodes=10).nodes < 10


def test_a_deadline_that_cannot_be_kept_gets_the_largest_cluster() -> None:
    chosen = cheapest(small(10**6), deadline_s=FIXED_S, max_nodes=7)
    assert chosen.nodes == 7
    assert chosen.seconds(small(10**6)) > FIXED_S


@given(works)
def test_time_is_what_is_fixed_and_the_work_shared_by_all_cores(work: Work) -> None:
    one, four = (Cluster(core=INSTANCES[0], nodes=nodes).seconds(work) - FIXED_S for nodes in (1, 4))
    assert four * 4 == pytest.approx(one)
    assert one * INSTANCES[0].vcpu == pytest.approx(work.vcpu_s)


def test_an_hour_costs_primary_and_core_nodes_with_surcharge_and_disks() -> None:
    core, primary = INSTANCES[0], PRIMARIES[0]
    expected = primary.on_demand_usd + primary.emr_usd + DISK_USD_PER_HOUR
    expected += 3 * (core.on_demand_usd * SPOT_SHARE + core.emr_usd + DISK_USD_PER_HOUR)
    cluster = Cluster(core=core, nodes=3)
    assert cluster.usd_per_hour(spot=True) == pytest.approx(expected)
    difference = 3 * core.on_demand_usd * (1 - SPOT_SHARE)
    assert cluster.usd_per_hour(spot=False) == pytest.approx(expected + difference)


def test_work_grows_with_photos_and_with_bytes() -> None:
    base = small(1000)
    assert replace(base, photos=2000).vcpu_s > base.vcpu_s
    large = replace(base, size_bytes=1000 * 4_000_000)
    assert large.vcpu_s - replace(base, size_bytes=0).vcpu_s == pytest.approx(1000 / 12), "a photo of 12 megapixels takes 1/12 s"
    assert large.s3_usd == base.s3_usd


def test_every_engine_has_a_speed() -> None:
    assert set(ENGINES) <= set(PHOTOS_PER_S_AND_VCPU)
    assert all(speed > 0 for speed in PHOTOS_PER_S_AND_VCPU.values())


def test_prices_are_complete_and_say_where_they_are_from() -> None:
    assert len({item.name for item in INSTANCES}) == len(INSTANCES)
    for item in INSTANCES:
        assert re.fullmatch(r"[mc]\d\w*\.xlarge", item.name)
        assert item.vcpu == 4, "the fleet counts each node as one"
        assert 0 < item.emr_usd < item.on_demand_usd
        assert item.source
    assert PRIMARIES


def test_the_explanation_has_the_figures_of_the_model() -> None:
    work = Work(photos=10**6, size_bytes=10**6 * cost.SMALL_PHOTO_BYTES, engine="litert")
    best = cheapest(work, deadline_s=7200, max_nodes=10)
    text = explain()
    assert f"**{best.usd(work, spot=True):.2f} USD** with Spot" in text
    assert f"**{best.usd(work, spot=False):.2f} USD** when there is no Spot" in text
    assert f"{math.floor(PHOTOS_PER_S_AND_VCPU['litert'])} photos per second and vCPU" in text
    assert all(item.name in text for item in INSTANCES)


def test_the_verdict_follows_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHOTOS_PER_S_AND_VCPU, "litert", 1000.0)
    assert "within the aim" in explain()
    monkeypatch.setitem(PHOTOS_PER_S_AND_VCPU, "litert", 10.0)
    assert "above the aim" in explain()


@pytest.mark.parametrize("table", ["## What a million", "### The arithmetic", "### By size", "### Prices"])
def test_every_table_of_the_explanation_has_rows_of_one_width(table: str) -> None:
    section = explain().partition(table)[2].partition("\n#")[0]
    widths = {line.count("|") for line in section.splitlines() if line.startswith("|")}
    assert len(widths) == (0 if table == "## What a million" else 1)


def test_cost_needs_only_the_standard_library() -> None:
    known = "{*sys.stdlib_module_names, '__main__', 'fruits_airflow', 'fruits_contract'}"
    code = f"import sys; import fruits_airflow.emr.cost; print({{name.split('.')[0] for name in sys.modules}} - {known})"
    words = [sys.executable, "-S", "-c", code]
    done = subprocess.run(words, env={"PYTHONPATH": str(ROOT / "plugins")}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_no_engine_is_said_to_be_faster_than_it_was_measured() -> None:
    kept = json.loads((ROOT / "docs" / "performance" / "featurize.json").read_text())
    measured = {
        name.removeprefix("ours, "): figures["images/s"]["median"] / kept["machine"]["cores"]
        for name, figures in kept["figures"].items()
        if name.startswith("ours, ") and "images/s" in figures
    }
    assert "litert" in measured
    for engine, said in PHOTOS_PER_S_AND_VCPU.items():
        assert said <= measured.get(engine, measured["litert"]), engine
