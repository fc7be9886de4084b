"""Who may import whom, what product code may not mention, and one word per stage (docs/architecture.md)."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from fruits_contract.pipelines import STAGES

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("dags", "plugins", "spark_apps", "bootstrap", "release")
FORBIDDEN_WORDS = re.compile(r"localhost|localstack|127\.0\.0\.1|endpoint_url\s*=|\bmoto", re.IGNORECASE)
# The lock files name hundreds of packages with hashes, of which any may hold such a word.
SOURCES = sorted(
    path
    for folder in PRODUCT
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".sh", ".html", ".in", ".toml"} and "__pycache__" not in path.parts
)
# Prints the top-level packages that importing the words of argv loads, beside those that Python loads by itself.
IMPORTER = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""


def modules_of(folder: str, package: str = "") -> list[str]:
    """Return the names of the modules below a folder, or below one package of it."""
    root = ROOT / folder
    files = sorted((root / package).rglob("*.py") if package else root.glob("*.py"))
    return [".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in files]


def loaded_by(names: Iterable[str], *, path: Iterable[str], home: Path) -> set[str]:
    """Return the top-level packages that a new Python loads when it imports `names` with the folders `path` to look in."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in path),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", IMPORTER, *names], env=env, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_contract_is_standard_library_only(tmp_path: Path) -> None:
    loaded = loaded_by(modules_of("plugins", "fruits_contract"), path=["plugins"], home=tmp_path)
    assert loaded - sys.stdlib_module_names == {"fruits_contract"}


def test_the_photo_decoder_needs_no_spark_and_no_s3(tmp_path: Path) -> None:
    loaded = loaded_by(["fruits.vision"], path=["spark_apps", "plugins"], home=tmp_path)
    assert not loaded & {"pyspark", "obstore", "pyarrow", "boto3", "airflow"}


def test_spark_code_never_loads_airflow(tmp_path: Path) -> None:
    names = [*modules_of("spark_apps", "fruits"), *modules_of("spark_apps")]
    loaded = loaded_by(names, path=["spark_apps", "plugins"], home=tmp_path)
    assert "pyspark" in loaded, "the modules were not really imported"
    assert not loaded & {"airflow", "fruits_airflow", "boto3", "botocore", "local", "release"}


def test_airflow_code_and_dags_never_load_spark(tmp_path: Path) -> None:
    names = [*modules_of("plugins", "fruits_airflow"), *modules_of("dags")]
    loaded = loaded_by(names, path=["plugins", "dags"], home=tmp_path)
    assert "airflow" in loaded, "the modules were not really imported"
    assert not loaded & {"pyspark", "fruits", "tensorflow", "local", "release"}


def test_reading_a_dag_loads_nothing_heavy(tmp_path: Path) -> None:
    loaded = loaded_by(modules_of("dags"), path=["plugins", "dags"], home=tmp_path)
    assert not loaded & {"deltalake", "obstore", "pyarrow", "numpy", "pandas"}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_product_code_knows_no_stand_in(file: Path) -> None:
    text = file.read_text()
    assert not FORBIDDEN_WORDS.findall(text), "endpoints come from the standard AWS environment"
    if file.suffix == ".py":
        assert "local" not in imports_of(text), "the embedded default is a stand-in; product code must run on AWS without it"


def imports_of(text: str) -> set[str]:
    """Return the top-level packages that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_script_is_a_stage() -> None:
    assert set(modules_of("spark_apps")) == {stage.name for stage in STAGES}


def test_every_stage_is_a_task() -> None:
    # docs/dags.md is made from the DAG itself, and tests/docs holds it to the DAG.
    tasks = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "dags.md").read_text(), re.MULTILINE)
    assert {stage.name for stage in STAGES} <= set(tasks)


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_a_stage_has_one_word(stage: str) -> None:
    assert (ROOT / "spark_apps" / f"{stage}.py").exists()
    assert f"\n## {stage}\n" in (ROOT / "docs" / "stages.md").read_text()
    assert (ROOT / "tests" / "spark_apps" / f"test_{stage}.py").exists()
