"""Who may import whom, what product code may not mention, and one name per stage (docs/architecture.md)."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from fruits_contract.pipelines import STAGES

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("dags", "plugins", "spark_apps", "bootstrap", "release", "infra", "serving")
OWN_ADDRESS = 'host: str = Field("127.0.0.1"'  # where the prediction service listens by default, not a service that it calls
FORBIDDEN_WORDS = re.compile(r"localhost|localstack|127\.0\.0\.1|endpoint_url\s*=|\bmoto", re.IGNORECASE)
# The lock files name hundreds of packages with hashes, of which any may hold such a word.
SOURCES = sorted(
    path
    for folder in PRODUCT
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".sh", ".html", ".js", ".in", ".toml"} and "__pycache__" not in path.parts
)
# Prints the top-level packages that importing the modules in argv loads, beside those that Python loads by itself.
IMPORTER = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""

# The packages, and those that each may import. A module belongs to the longest name that begins its own.
ALLOWED_IMPORTS: dict[str, set[str]] = {
    "fruits_contract": set(),
    "fruits_airflow": {"fruits_contract"},
    "fruits_ui_plugin": {"fruits_airflow"},
    "fruits_features": {"fruits_airflow", "fruits_contract"},
    "fruits_classifier": {"fruits_airflow", "fruits_contract"},
    "fruits_housekeeping": {"fruits_airflow"},
    "fruits": {"fruits_contract"},
    **{stage.name: {"fruits", "fruits_contract"} for stage in STAGES},
    "release": {"fruits_contract"},
    "infra": {"fruits_contract", "release"},
    "serving": {"fruits", "fruits_contract"},
    "local.console": {"local"},
    "local.interrupts": {"local"},
    "local": set(),
    "local.emr": {"local"},
    "local.client": {"local", "local.console", "fruits_contract"},
    "local.stack": {"local", "local.console", "local.interrupts"},
    "local.deploy": {"local", "local.console", "local.client", "local.stack", "release"},
    "local.foreground": {"local"},
    "local.serve": {"local", "local.console", "local.foreground", "local.stack", "fruits_contract"},
    "local.notebook": {"local", "local.console", "local.foreground", "local.stack"},
    "local.cli": {
        *("local", "local.console", "local.interrupts", "local.client", "local.stack", "local.deploy", "release"),
        *("local.serve", "local.notebook"),
    },
    "local.__main__": {"local.cli"},
    "local.compose": {
        "local",
        "local.console",
        "local.interrupts",
        "local.client",
        "local.stack",
        "fruits_airflow",
        "release",
        "infra",
    },
}
# Run by itself before there is an environment, or by somebody else's Python.
STANDALONE = {"local.get_uv", "local.compose.keep_s3"}


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


@pytest.mark.parametrize("module", ["vision", "colors", "engines", "classifier"])
def test_what_the_service_shares_with_the_stages_needs_no_spark_and_no_s3(tmp_path: Path, module: str) -> None:
    loaded = loaded_by([f"fruits.{module}"], path=["spark_apps", "plugins"], home=tmp_path)
    assert not loaded & {"pyspark", "obstore", "pyarrow", "boto3", "airflow"}


def test_spark_code_never_loads_airflow(tmp_path: Path) -> None:
    names = [*modules_of("spark_apps", "fruits"), *modules_of("spark_apps")]
    loaded = loaded_by(names, path=["spark_apps", "plugins"], home=tmp_path)
    assert "pyspark" in loaded, "the modules were not really imported"
    assert not loaded & {"airflow", "fruits_airflow", "boto3", "botocore", "local", "release"}


def test_the_service_loads_only_what_its_image_has(tmp_path: Path) -> None:
    names = [f"serving.{path.stem}" for path in (ROOT / "serving").glob("*.py") if not path.stem.startswith("__")]
    loaded = loaded_by(names, path=[".", "spark_apps", "plugins"], home=tmp_path)
    assert "fastapi" in loaded, "the modules were not really imported"
    assert not loaded & {"pyspark", "pyarrow", "boto3", "airflow", "fruits_airflow", "local", "release", "matplotlib"}


def test_airflow_code_and_dags_never_load_spark(tmp_path: Path) -> None:
    names = [*modules_of("plugins", "fruits_airflow"), *modules_of("dags")]
    loaded = loaded_by(names, path=["plugins", "dags"], home=tmp_path)
    assert "airflow" in loaded, "the modules were not really imported"
    assert not loaded & {"pyspark", "fruits", "tensorflow", "local", "release"}


def test_reading_a_dag_loads_nothing_heavy(tmp_path: Path) -> None:
    loaded = loaded_by(modules_of("dags"), path=["plugins", "dags"], home=tmp_path)
    assert not loaded & {"deltalake", "obstore", "pyarrow", "numpy", "pandas"}


def test_what_every_process_of_airflow_loads_is_light(tmp_path: Path) -> None:
    loaded = loaded_by(["fruits_ui_plugin"], path=["plugins"], home=tmp_path)
    assert "airflow" in loaded, "the module was not really imported"
    assert not loaded & {"fastapi", "deltalake", "obstore", "pyarrow", "boto3", "numpy"}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_product_code_names_no_local_service(file: Path) -> None:
    text = file.read_text()
    assert not FORBIDDEN_WORDS.findall(text.replace(OWN_ADDRESS, "")), "endpoints come from the standard AWS environment"
    if file.suffix == ".py":
        assert "local" not in imports_of(text), "product code must run on AWS without the local services"


def imports_of(text: str) -> set[str]:
    """Return the top-level packages that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def project_modules() -> dict[str, Path]:
    """Return the files of the product and of `local`, by module name."""
    roots = {
        "dags": "*.py",
        "plugins": "**/*.py",
        "spark_apps": "**/*.py",
        "release": "**/*.py",
        "infra": "**/*.py",
        "serving": "**/*.py",
        "local": "**/*.py",
    }
    found = {}
    for folder, pattern in roots.items():
        base = ROOT if folder in ("release", "infra", "serving", "local") else ROOT / folder
        for file in (ROOT / folder).glob(pattern):
            found[".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__")] = file
    return {name: file for name, file in found.items() if name not in STANDALONE}


def imported_modules(file: Path, modules: Iterable[str]) -> set[str]:
    """Return the project's modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            submodules = {f"{node.module}.{name.name}" for name in node.names}
            # `from package import module` imports the module; `from package import name` the package.
            found |= submodules & set(modules) or {node.module}
    return found & set(modules)


def package_of(module: str) -> str:
    """Return the package that a module belongs to."""
    return max((name for name in ALLOWED_IMPORTS if module == name or module.startswith(f"{name}.")), key=len)


def test_no_import_leads_upwards() -> None:
    modules = project_modules()
    upwards = [
        f"{name} imports {other}"
        for name, file in modules.items()
        for other in imported_modules(file, modules)
        if package_of(other) not in {package_of(name), *ALLOWED_IMPORTS[package_of(name)]}
    ]
    assert upwards == []


def test_no_imports_form_a_circle() -> None:
    modules = project_modules()
    graph = {name: imported_modules(file, modules) for name, file in modules.items()}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the modules


def test_every_script_is_a_stage() -> None:
    assert set(modules_of("spark_apps")) == {stage.name for stage in STAGES}


def test_every_stage_is_a_task() -> None:
    # docs/dags.md is made from the DAG itself, and tests/docs holds it to the DAG.
    tasks = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "dags.md").read_text(), re.MULTILINE)
    assert {stage.name for stage in STAGES} <= set(tasks)


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_a_stage_has_one_name(stage: str) -> None:
    assert (ROOT / "spark_apps" / f"{stage}.py").exists()
    assert f"\n## {stage}\n" in (ROOT / "docs" / "stages.md").read_text()
    assert (ROOT / "tests" / "spark_apps" / f"test_{stage}.py").exists()
