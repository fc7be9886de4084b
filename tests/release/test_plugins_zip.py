"""plugins.zip, unpacked as Amazon MWAA unpacks it: the DAGs import, and the pages are the only plugin."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fruits_airflow.ui.addresses import HAS_PAGES
from release import contents, plugins_zip

LOADER = """
import json, sys
from airflow import plugins_manager
try:
    from airflow.dag_processing.dagbag import DagBag
except ModuleNotFoundError:  # Airflow 3.0
    from airflow.models.dagbag import DagBag
    plugins_manager.get_import_errors = lambda: plugins_manager.import_errors
bag = DagBag(dag_folder=sys.argv[1])
ours = {plugin["name"]: len(plugin["fastapi_apps"]) for plugin in plugins_manager.get_plugin_info() if "fruits" in str(plugin)}
errors = {**bag.import_errors, **plugins_manager.get_import_errors()}
print(json.dumps({"dags": sorted(bag.dags), "errors": errors, "apps": ours}))
"""


@pytest.fixture(scope="module")
def mwaa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like MWAA's /usr/local/airflow: dags/ beside plugins/, the latter from the archive."""
    home = tmp_path_factory.mktemp("mwaa")
    with zipfile.ZipFile(plugins_zip.build(home / "plugins.zip")) as archive:
        archive.extractall(home / "plugins")
    shutil.copytree(contents.ROOT / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    return home


def test_the_dags_import_and_the_pages_are_the_only_plugin(mwaa: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(mwaa),
        "AIRFLOW_HOME": str(mwaa),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(mwaa / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(mwaa / "plugins"),
    }
    command = [sys.executable, "-c", LOADER, str(mwaa / "dags")]
    done = subprocess.run(command, env=environment, cwd=mwaa, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = sorted(path.stem for path in (contents.ROOT / "dags").glob("*.py"))
    assert json.loads(done.stdout.splitlines()[-1]) == {"dags": expected, "errors": {}, "apps": {"fruits": int(HAS_PAGES)}}


def test_the_archive_holds_the_plugin_the_two_packages_and_what_keeps_them_from_being_run(mwaa: Path) -> None:
    expected = {plugins_zip.IGNORE, plugins_zip.PLUGIN, *plugins_zip.PACKAGES}
    assert {path.name for path in (mwaa / "plugins").iterdir()} - {"__pycache__"} == expected


def test_the_archive_holds_all_that_the_pages_consist_of(mwaa: Path) -> None:
    pages = Path("plugins") / "fruits_airflow" / "ui"
    of_checkout = {path.relative_to(contents.ROOT) for path in (contents.ROOT / pages).rglob("*.*")}
    assert {path for path in of_checkout if path.suffix != ".pyc"} == {
        path.relative_to(mwaa) for path in (mwaa / pages).rglob("*.*") if path.suffix != ".pyc"
    }


def test_the_same_files_give_the_same_bytes(mwaa: Path, tmp_path: Path) -> None:
    assert plugins_zip.build(tmp_path / "again.zip").read_bytes() == (mwaa / "plugins.zip").read_bytes()


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(contents.MissingSource, match=r"\.airflowignore"):
        plugins_zip.build(tmp_path / "plugins.zip", root=tmp_path)
