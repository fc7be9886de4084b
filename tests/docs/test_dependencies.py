"""docs/dependencies.md names each direct dependency, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "dependencies.md"
INPUTS = (
    *ROOT.glob("requirements*.in"),
    ROOT / "bootstrap" / "requirements.in",
    ROOT / "serving" / "requirements.in",
    *(ROOT / "local" / "compose" / "requirements").glob("*.in"),
)


def required() -> Iterator[str]:
    for file in INPUTS:
        for line in file.read_text().splitlines():
            if found := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line):
                yield found.group()


def test_table_and_requirements_agree() -> None:
    # The second table, below a heading of its own, is of what is not a requirement.
    table, _, _ = PAGE.read_text().partition("\n## ")
    rows = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(rows) == len(set(rows)), "a package is in docs/dependencies.md twice"
    assert set(rows) == set(required()), "docs/dependencies.md and requirements*.in name different packages"
