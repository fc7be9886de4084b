"""The runbook has a row for every task of all DAGs, and for no other."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def tasks_by_dag(page: str) -> dict[str, list[str]]:
    """Return the first column of each table, sorted, by the DAG that the heading above it names."""
    found: dict[str, list[str]] = {}
    dag = ""
    for line in (DOCS / page).read_text().splitlines():
        if heading := re.match(r"#+ `?(fruits_\w+)`?$", line):
            dag = heading[1]
        elif re.match(r"#+ ", line) and not line.endswith(" Tasks"):
            dag = ""
        if dag and (row := re.match(r"\| `(\w+)` \|", line)):
            found.setdefault(dag, []).append(row[1])
    return {name: sorted(tasks) for name, tasks in found.items()}


def test_every_task_has_a_row() -> None:
    # docs/dags.md is generated from the DAGs, and compared with them by test_fresh.
    tasks = tasks_by_dag("dags.md")
    assert len(tasks) == 3
    assert tasks_by_dag("runbook.md") == tasks


@pytest.mark.parametrize("page", ["runbook.md", "quickstart.md", "notebook.md"])
def test_the_readme_leads_to_it(page: str) -> None:
    assert f"(docs/{page})" in (DOCS.parent / "README.md").read_text()
