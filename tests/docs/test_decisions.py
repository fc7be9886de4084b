"""The index of decisions lists every decision with its title and status."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "decisions"


def test_the_index_has_each_decision_with_its_title_and_status() -> None:
    expected = []
    for file in sorted(FOLDER.glob("[0-9]*.md")):
        number = file.name[:4]
        header = re.match(rf"# {number}: (.+)\n\nStatus: (.+)\n", file.read_text())
        assert header, f"{file.name} does not begin with '# {number}: title' and 'Status: ...'"
        expected.append(f"| [{number}]({file.name}) | {header[1]} | {header[2]} |")
    rows = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert rows == expected, "docs/decisions/README.md and the files beside it differ"
