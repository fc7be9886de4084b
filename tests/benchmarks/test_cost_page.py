import pytest

from benchmarks.cost_page import SMALL_PHOTO_BYTES, Requests, cost_section
from fruits_airflow.emr.cost import PHOTOS_PER_S_AND_VCPU, FeaturizingWork, cheapest
from fruits_airflow.emr.prices import INSTANCES

PHOTOS = 10**6


def test_the_section_has_the_figures_of_the_model():
    shards = Requests.of_shards(PHOTOS, SMALL_PHOTO_BYTES)
    work = FeaturizingWork(photos=PHOTOS, size_bytes=PHOTOS * SMALL_PHOTO_BYTES, engine="litert", gets=shards.gets)
    size = cheapest(work, deadline_s=7200, max_nodes=10)
    section = cost_section()
    assert f"**{size.usd(work, spot=True) + work.s3_usd + shards.upload_usd:.2f} USD packed**" in section
    assert f"{size.usd(work, spot=False):.2f} USD where there is no Spot" in section
    assert f"{PHOTOS_PER_S_AND_VCPU['litert']:g} photos per second and vCPU" in section
    assert all(item.name in section for item in INSTANCES)


def test_shards_take_requests_by_their_bytes_and_objects_one_each():
    objects, shards = Requests.of_objects(PHOTOS), Requests.of_shards(PHOTOS, SMALL_PHOTO_BYTES)
    assert (objects.puts, objects.gets) == (PHOTOS, PHOTOS)
    assert 40 * 7 <= shards.puts <= 60 * 7, "a million photos are about 50 shards, of 7 requests each"
    assert 40 * 17 <= shards.gets <= 60 * 19


@pytest.mark.parametrize(
    ("photos_per_s", "verdict"),
    [
        (1000.0, "within the 0.35 USD allowed, within the 0.25 USD aimed at"),
        (10.0, "above the 0.35 USD allowed, above the 0.25 USD aimed at"),
    ],
)
def test_the_verdict_follows_the_figure(photos_per_s: float, verdict: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PHOTOS_PER_S_AND_VCPU, "litert", photos_per_s)
    assert verdict in cost_section()


@pytest.mark.parametrize("heading", ["### Calculation", "### By batch size", "### Prices"])
def test_all_rows_of_a_table_have_the_same_width(heading: str):
    table = cost_section().partition(heading)[2].partition("\n#")[0]
    assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1
