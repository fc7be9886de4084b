"""Writes docs/reliability.md: the text of reliability_page.md with the kept result of `make test-faults`."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / "docs" / "reliability.md"
KEPT = REPO / "docs" / "reliability" / "faults.json"
TEMPLATE = Path(__file__).with_suffix(".md")


def page(kept: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page from the content of faults.json: the rows by fault."""
    lines = ["| what breaks | the run ends as | completed by | lost | doubled | tables | alive | seconds |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for fault, row in kept.items():
        outcome = row["outcome"]
        columns = [
            *(fault, row["run_ended"], row["recovered_by"]),
            *(str(len(outcome["lost"])), str(len(outcome["doubled"]))),
            *("; ".join(outcome["tables"]) or "unharmed", ", ".join(outcome["alive"]) or "none", f"{row['seconds']:.0f}"),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    days, commits = ({row[name] for row in kept.values()} for name in ("date", "commit"))
    made = f"{len(kept)} rows, made on {', '.join(sorted({day[:10] for day in days}))} at {', '.join(sorted(commits))}."
    return TEMPLATE.read_text().replace("<!-- results -->", "\n".join([*lines, "", made]))


def main() -> None:
    """Keep a new result where `--keep` asks for it, and write the page."""
    if "--keep" in sys.argv:
        KEPT.parent.mkdir(exist_ok=True)
        shutil.copy(REPO / "out" / "faults.json", KEPT)
    PAGE.write_text(page(json.loads(KEPT.read_text())))


if __name__ == "__main__":
    main()
