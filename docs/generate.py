"""Generates the docs that follow from the code: parameters, stages, the bucket, the DAGs, bad input, access.

Run as `make docs`, or `python -m docs.generate --out DIR` to compare. Each page is a module of docs/pages, which has its
headings and connecting text; the facts are in the contract, the settings, the DAG files and the tables of the tests.
"""

import argparse
import importlib
import os
import tempfile
from pathlib import Path

PAGES = ("access", "bad_input", "bucket", "dags", "parameters", "stages")


def main() -> None:
    """Write every page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR", help="default: %(default)s")
    folder: Path = parser.parse_args().out
    with tempfile.TemporaryDirectory() as home:
        # Airflow reads these once, when a page imports it.
        os.environ |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": f"{home}/plugins",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        for name in PAGES:
            (folder / f"{name.replace('_', '-')}.md").write_text(importlib.import_module(f"docs.pages.{name}").content())


if __name__ == "__main__":
    main()
