import copy
import re

import pytest

from benchmarks.performance_page import PAGE, TEMPLATE, page, read_kept
from tests.benchmarks.test_results import CONTENT

MAKEFILE = PAGE.parents[1] / "Makefile"


def test_the_page_is_fresh():
    assert PAGE.read_text() == page(read_kept()), "docs/performance.md is not what the figures say; run make docs"


def test_every_benchmark_has_a_section_with_its_command():
    template = TEMPLATE.read_text()
    benchmarks = re.findall(r"^`make bench-(\w+)", template, re.MULTILINE)
    assert sorted(benchmarks) == sorted(re.findall(r"^bench-(\w+):", MAKEFILE.read_text(), re.MULTILINE))
    assert re.findall(r"<!-- results: (\w+) -->", template) == benchmarks
    assert page({}).count("Not measured yet.") == len(benchmarks)


def test_results_are_in_the_section_of_their_benchmark():
    section = page({"latency": CONTENT}).partition("## Latency")[2].partition("\n## ")[0]
    assert "| 30 ms | images/s | 80 | 81 | 82 |" in section


def test_a_ratio_without_an_explanation_is_refused():
    content = copy.deepcopy(CONTENT)
    content["ratios"]["unheard_of"] = 1.0
    with pytest.raises(KeyError, match="unheard_of"):
        page({"latency": content})


def test_the_costs_come_last():
    assert page({}).partition("\n## Cost of a million photos\n")[2].count("\n## ") == 0
