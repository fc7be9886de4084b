"""Notebooks are committed without outputs, in a form that diffs well."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
CLEAR = ".venv-notebook/bin/jupyter nbconvert --clear-output --inplace"


def test_there_is_one() -> None:
    assert [path.name for path in NOTEBOOKS] == ["explore.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_holds_no_outputs_and_nothing_of_a_machine(path: Path) -> None:
    notebook = json.loads(path.read_text())
    ran = [cell["id"] for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")]
    assert not ran, f"cells {ran} of {path.name} have outputs; run {CLEAR} notebooks/{path.name}"
    assert set(notebook["metadata"]["kernelspec"]) == {"display_name", "language", "name"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_cells_have_names_that_tests_and_diffs_can_use(path: Path) -> None:
    names = [cell["id"] for cell in json.loads(path.read_text())["cells"]]
    assert len(names) == len(set(names))
    assert all(name.replace("-", "").isalpha() for name in names)
