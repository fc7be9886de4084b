"""Writes docs/performance.md: the text of performance_page.md with the kept results and the cost section."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.command_line import KEPT
from benchmarks.cost_page import cost_section
from benchmarks.results import REPO, flatten, to_markdown

PAGE = REPO / "docs" / "performance.md"
TEMPLATE = Path(__file__).with_suffix(".md")
PLACE = re.compile(r"<!-- results: (\w+) -->")


def page(kept: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page from the JSON of each benchmark."""

    def results(place: re.Match[str]) -> str:
        name = place[1]
        return to_markdown(kept[name]) if name in kept else "Not measured yet."

    template = TEMPLATE.read_text()
    for content in kept.values():
        for ratio, _ in flatten(content["ratios"]):
            if f"`{ratio.partition('.')[0]}`" not in template:
                raise KeyError(f"{ratio} of {content['benchmark']}.json is not explained in {TEMPLATE}")
    return PLACE.sub(results, template).replace("<!-- costs -->", cost_section())


def read_kept() -> dict[str, dict[str, Any]]:
    """Return the kept results by benchmark."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))}


if __name__ == "__main__":
    PAGE.write_text(page(read_kept()))
