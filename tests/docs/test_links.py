"""Links between the docs, and from the notebooks to them, lead somewhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")])


def broken(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


def text_of(page: Path) -> str:
    """Return the Markdown of a page or of a notebook's cells, without blocks of code."""
    text = page.read_text()
    if page.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    names = [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]
    # GitHub numbers the headings that repeat an earlier one.
    return {f"{name}-{count}" if (count := names[:place].count(name)) else name for place, name in enumerate(names)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    assert not list(broken(page))


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n\n## Two: a b\n\n## One\n\n[a](#two-a-b) [b](#one-1) [c](#three) [d](missing.md) [e](page.md#one)\n")
    assert list(broken(page)) == ["#three", "missing.md"]
    (tmp_path / "empty.ipynb").write_text('{"cells": [{"cell_type": "markdown", "source": ["[f](missing.md)"]}]}')
    assert list(broken(tmp_path / "empty.ipynb")) == ["missing.md"]


def test_a_comment_in_a_block_of_code_is_no_heading(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](#not)\n\n```sh\n# not\nls\n```\n")
    assert list(broken(page)) == ["#not"]
