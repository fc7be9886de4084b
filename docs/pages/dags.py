"""Writes docs/dags.md from the DAGs."""

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from docs.pages.text import page, table

DAGS = Path(__file__).resolve().parents[2] / "dags"


def content() -> str:
    """Return docs/dags.md."""
    sys.path.insert(0, str(DAGS))
    parts: list[str] = []
    for file in sorted(DAGS.glob("*.py")):
        found = [value for value in vars(importlib.import_module(file.stem)).values() if isinstance(value, DAG)]
        for dag in found or _made_at_import(file.stem):
            parts += [f"## {dag.dag_id}", _demoted(inspect.cleandoc(dag.doc_md or "")), "### Tasks", _tasks(dag)]
    return page(
        "DAGs",
        "Each DAG's description as Airflow shows it, and its tasks in an order in which they may run.",
        *parts,
    )


def _made_at_import(module: str) -> list[Any]:
    """Return the DAGs of a module that keeps none in a variable, by calling its `@dag` functions once more."""
    members = vars(sys.modules[module]).values()
    return [member() for member in members if getattr(member, "__module__", "") == module and hasattr(member, "__wrapped__")]


def _demoted(text: str) -> str:
    """Turn the text's headings into plain lines: the page has its own."""
    return re.sub(r"^#+\s*(.*)$", r"\1", text, flags=re.MULTILINE)


def _tasks(dag: Any) -> str:
    def row(task: Any) -> tuple[str, str, str, str]:
        role = ""
        if task.is_setup:
            role = "setup"
        elif task.is_teardown:
            role = "teardown"
        after = ", ".join(f"`{name}`" for name in sorted(task.upstream_task_ids))
        return f"`{task.task_id}`", after, role, _first_line(task)

    return table(("task", "after", "role", "what it does"), map(row, dag.topological_sort()))


def _first_line(task: Any) -> str:
    stage = getattr(task, "stage", None)
    if stage is not None:
        return f"[{stage.name}](stages.md#{stage.name})"
    described = getattr(task, "python_callable", None) or type(task)
    return inspect.cleandoc(described.__doc__ or "").splitlines()[0]
