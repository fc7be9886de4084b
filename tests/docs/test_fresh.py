"""The generated docs say what the code says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("parameters.md", "stages.md", "bucket.md", "dags.md", "bad-input.md", "access.md")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A process of its own, because it sets where Airflow lives before it imports it.
    folder = tmp_path_factory.mktemp("docs")
    argv = [sys.executable, "-m", "docs.generate", "--out", str(folder)]
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "plugins", "spark_apps"))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(argv, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_compared(generated: Path) -> None:
    assert sorted(path.name for path in generated.iterdir()) == sorted(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_page_is_fresh(generated: Path, page: str) -> None:
    stored = ROOT / "docs" / page
    assert stored.exists(), f"docs/{page} is missing; run make docs"
    assert stored.read_text() == (generated / page).read_text(), f"docs/{page} is not what the code says; run make docs"
