import pytest

from benchmarks.cost_page import SMALL_PHOTO_BYTES, cost_section
from fruits_airflow.emr.cost import PHOTOS_PER_S_AND_VCPU, Work, cheapest
from fruits_airflow.emr.prices import INSTANCES


def test_the_section_has_the_figures_of_the_model():
    work = Work(photos=10**6, size_bytes=10**6 * SMALL_PHOTO_BYTES, engine="litert")
    size = cheapest(work, deadline_s=7200, max_nodes=10)
    section = cost_section()
    assert f"**{size.usd(work, spot=True):.2f} USD** with Spot" in section
    assert f"**{size.usd(work, spot=False):.2f} USD** when there is no Spot" in section
    assert f"{PHOTOS_PER_S_AND_VCPU['litert']:g} photos per second and vCPU" in section
    assert all(item.name in section for item in INSTANCES)


@pytest.mark.parametrize(("photos_per_s", "verdict"), [(1000.0, "within the target"), (10.0, "above the target")])
def test_the_verdict_follows_the_figure(photos_per_s: float, verdict: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PHOTOS_PER_S_AND_VCPU, "litert", photos_per_s)
    assert verdict in cost_section()


@pytest.mark.parametrize("heading", ["### Calculation", "### By batch size", "### Prices"])
def test_all_rows_of_a_table_have_the_same_width(heading: str):
    table = cost_section().partition(heading)[2].partition("\n#")[0]
    assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1
