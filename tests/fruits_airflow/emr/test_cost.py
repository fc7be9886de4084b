import json
import re
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_airflow.emr.cost import (
    OTHER_STAGES_VCPU_S_PER_PHOTO,
    PHOTOS_PER_S_AND_VCPU,
    SPARK_START_S,
    WHOLE_CORE_SPEED,
    ClusterSize,
    FeaturizingWork,
    TrainingWork,
    cheapest,
    fixed_s,
)
from fruits_airflow.emr.prices import BY_NAME, DISK_USD_PER_HOUR, INSTANCES, PRIMARIES
from fruits_contract.features_pipeline import ENGINES

ROOT = Path(__file__).resolve().parents[3]

works = st.builds(
    FeaturizingWork,
    photos=st.integers(0, 10**8),
    size_bytes=st.integers(0, 10**14),
    engine=st.sampled_from(sorted(PHOTOS_PER_S_AND_VCPU)),
    gets=st.integers(0, 10**8),
    retained=st.integers(0, 10**8),
)
deadlines = st.integers(1, 48 * 3600)
limits = st.integers(1, 30)


def small(photos: int) -> FeaturizingWork:
    return FeaturizingWork(photos=photos, size_bytes=photos * 5_700, engine="litert", gets=photos)


@given(works, deadlines, limits)
def test_no_cheaper_size_meets_the_deadline(work: FeaturizingWork, deadline_s: int, max_nodes: int) -> None:
    chosen = cheapest(work, deadline_s=deadline_s, max_nodes=max_nodes)
    assert 1 <= chosen.nodes <= max_nodes
    others = [ClusterSize(core=core, nodes=nodes) for core in INSTANCES for nodes in range(1, max_nodes + 1)]
    in_time = [other for other in others if other.seconds(work) <= deadline_s]
    if in_time:
        assert chosen.seconds(work) <= deadline_s
        assert chosen.usd(work, spot=True) <= min(other.usd(work, spot=True) for other in in_time)
    else:
        assert chosen.seconds(work) == min(other.seconds(work) for other in others)
        assert chosen.nodes == max_nodes or work.vcpu_s == 0


@given(works, limits)
def test_a_shorter_deadline_is_never_cheaper(work: FeaturizingWork, max_nodes: int) -> None:
    loose = cheapest(work, deadline_s=10**9, max_nodes=max_nodes)
    tight = cheapest(work, deadline_s=3600, max_nodes=max_nodes)
    assert tight.usd(work, spot=True) >= loose.usd(work, spot=True)


@pytest.mark.parametrize(("photos", "nodes"), [(0, 1), (1, 1), (50_000, 1), (50_000_000, 10)])
def test_small_batches_get_one_node_and_huge_ones_the_maximum(photos: int, nodes: int) -> None:
    assert cheapest(small(photos), deadline_s=7200, max_nodes=10).nodes == nodes


def test_a_million_photos_get_more_than_one_node_because_the_primary_costs_as_well() -> None:
    assert 1 < cheapest(small(10**6), deadline_s=7200, max_nodes=10).nodes < 10


def test_an_impossible_deadline_gets_the_largest_cluster() -> None:
    chosen = cheapest(small(10**6), deadline_s=fixed_s(small(10**6)), max_nodes=7)
    assert chosen.nodes == 7
    assert chosen.seconds(small(10**6)) > fixed_s(small(10**6))


@given(works)
def test_duration_is_fixed_time_plus_the_work_divided_among_all_cores(work: FeaturizingWork) -> None:
    one, four = (ClusterSize(core=INSTANCES[0], nodes=nodes).seconds(work) - fixed_s(work) for nodes in (1, 4))
    assert four * 4 == pytest.approx(one)
    assert one * INSTANCES[0].vcpu == pytest.approx(work.vcpu_s)
    whole_cores = ClusterSize(core=BY_NAME["c7a.xlarge"], nodes=1).seconds(work) - fixed_s(work)
    assert whole_cores * WHOLE_CORE_SPEED == pytest.approx(one)


def test_an_hour_costs_primary_and_core_nodes_with_surcharge_and_disks() -> None:
    core, primary = INSTANCES[0], PRIMARIES[0]
    expected = primary.on_demand_usd + primary.emr_usd + DISK_USD_PER_HOUR
    expected += core.on_demand_usd + core.emr_usd + DISK_USD_PER_HOUR
    expected += 2 * (core.spot_usd + core.emr_usd + DISK_USD_PER_HOUR)
    size = ClusterSize(core=core, nodes=3)
    assert size.usd_per_hour(spot=True) == pytest.approx(expected)
    assert size.usd_per_hour(spot=False) == pytest.approx(expected + 2 * (core.on_demand_usd - core.spot_usd))


def test_work_grows_with_photos_and_with_bytes() -> None:
    base = small(1000)
    assert replace(base, photos=2000).vcpu_s > base.vcpu_s
    large = replace(base, size_bytes=1000 * 4_000_000)
    assert large.vcpu_s - replace(base, size_bytes=0).vcpu_s == pytest.approx(1000 / 12), "a photo of 12 megapixels takes 1/12 s"
    assert large.s3_usd == base.s3_usd
    assert replace(base, gets=10).s3_usd == pytest.approx(base.s3_usd / 100)


def test_a_training_is_sized_by_the_same_rules() -> None:
    assert cheapest(TrainingWork(rows=1000), deadline_s=7200, max_nodes=10).nodes == 1
    assert cheapest(TrainingWork(rows=10**7), deadline_s=7200, max_nodes=10).nodes > 1


def test_spark_starts_once_per_stage() -> None:
    assert fixed_s(small(1)) - fixed_s(TrainingWork(rows=1)) == (5 - 2) * SPARK_START_S


def test_a_fit_reads_and_projects_the_retained_rows_as_well() -> None:
    work = replace(small(1000), retained=10**6)
    assert work.vcpu_s - small(1000).vcpu_s == pytest.approx(10**6 * OTHER_STAGES_VCPU_S_PER_PHOTO)


def test_every_engine_has_a_speed() -> None:
    assert set(ENGINES) == set(PHOTOS_PER_S_AND_VCPU)
    assert all(speed > 0 for speed in PHOTOS_PER_S_AND_VCPU.values())


def test_prices_are_complete() -> None:
    assert len({item.name for item in INSTANCES}) == len(INSTANCES)
    for item in INSTANCES:
        assert re.fullmatch(r"[mc]\d\w*\.xlarge", item.name)
        assert item.is_whole_core == ("7a" in item.name)
        assert 0 < item.spot_usd < item.on_demand_usd
        assert item.vcpu == 4, "the fleet counts each node as one"
        assert 0 < item.emr_usd < item.on_demand_usd
    assert PRIMARIES


def test_cost_needs_only_the_standard_library() -> None:
    known = "{*sys.stdlib_module_names, '__main__', 'fruits_airflow', 'fruits_contract'}"
    code = f"import sys; import fruits_airflow.emr.cost; print({{name.split('.')[0] for name in sys.modules}} - {known})"
    argv = [sys.executable, "-S", "-c", code]
    done = subprocess.run(argv, env={"PYTHONPATH": str(ROOT / "plugins")}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_no_engine_is_assumed_faster_than_measured() -> None:
    kept = json.loads((ROOT / "docs" / "performance" / "featurize.json").read_text())
    measured = {
        name.removeprefix("ours, "): statistics.median(figures["images/s"]) / kept["machine"]["cores"]
        for name, figures in kept["figures"].items()
        if name.startswith("ours, ") and "images/s" in figures
    }
    assert "litert" in measured
    for engine, speed in PHOTOS_PER_S_AND_VCPU.items():
        assert speed <= measured.get(engine, measured["litert"]), engine
