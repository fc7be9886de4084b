import copy

import pytest

from benchmarks import report
from benchmarks.cost_page import cost_section
from benchmarks.measuring import Figures, Outcome, to_json
from tests.benchmarks.test_measuring import MACHINE

KEPT = {
    "latency": to_json(
        "latency",
        Outcome(Figures({"30 ms": {"images/s": [80.0, 81.0]}}), {"kept": 0.95}, {"images/s": "1/s"}, {"photos": 10}),
        machine=MACHINE,
        seconds=3,
    )
}


def test_the_page_is_fresh():
    stored = report.PAGE
    assert stored.exists(), "docs/performance.md is missing; run make docs"
    page = report.page(report.read_kept(), cost=cost_section())
    assert stored.read_text() == page, "docs/performance.md is not what the figures say; run make docs"


def test_every_benchmark_has_its_command_and_what_it_does_not_say():
    page = report.page({})
    for section in report.SECTIONS.values():
        assert f"`{section.command}`" in page
        assert all(sentence in page for sentence in section.silent)
    assert page.count("Not measured yet.") == len(report.SECTIONS)


def test_figures_come_with_ratio_machine_and_date():
    page = report.page(KEPT)
    assert "| `kept` | **0.95** |" in page
    assert "| 30 ms | images/s | 1/s | 80 | 80.5 | 81 |" in page
    assert "a CPU, virtual, 2 cores, 8 GB" in page
    assert KEPT["latency"]["date"][:10] in page


def test_a_ratio_without_a_meaning_is_refused():
    kept = copy.deepcopy(KEPT)
    kept["latency"]["ratios"]["unheard_of"] = 1.0
    with pytest.raises(KeyError, match="unheard_of"):
        report.page(kept)


def test_the_costs_come_last():
    assert report.page({}, cost="## Costs\n\nMuch.\n").endswith("\n\n## Costs\n\nMuch.\n")
