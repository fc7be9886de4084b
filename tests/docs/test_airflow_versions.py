"""README and docs/production.md name the versions of Airflow on which the tests run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def pinned(requirements: str) -> str:
    """Return the version of Airflow in a lock file."""
    (version,) = re.findall(r"^apache-airflow==(\S+)", (ROOT / requirements).read_text(), re.MULTILINE)
    return str(version)


@pytest.mark.parametrize("page", ["README.md", "docs/production.md"])
def test_a_page_names_the_oldest_and_the_newest(page: str) -> None:
    supported = f"Airflow {pinned('requirements-oldest-airflow.txt')} to {pinned('requirements.txt')}"
    assert supported in (ROOT / page).read_text()
