"""Fetches the jars that pyspark does not include, each once and by its pinned digest, from Maven Central."""

import hashlib
import shutil
import tempfile
import urllib.request
from pathlib import Path

import tenacity

from local import CACHE
from local.console import say
from local.stack import StackError

MAVEN_CENTRAL = "https://repo1.maven.org/maven2/"
PINNED = Path(__file__).parent / "spark_templates"
FOLDER = CACHE / "jars"
SETS = {
    "spark35": "the S3A jars for Spark (5 MB, once)",
    "spark40": "the S3A jars for Spark 4 (12 MB, once)",
    "yarn": "YARN (42 MB, once)",
}
TIMEOUT_S = 60


class JarsUnobtainable(StackError):
    """The jars could not be fetched; the message says why, and where to put them by hand."""


def folder_of(name: str) -> Path:
    """Return the folder of one of `SETS`."""
    return FOLDER / name


def fetch(name: str) -> Path:
    """Return the folder of one of `SETS`; fetch the jars unless it holds all of them with the pinned digests.

    Raises
    ------
    JarsUnobtainable
        After several tries; Maven Central cannot be reached, or served something else.
    """
    folder = folder_of(name)
    if _has_all(name, folder):
        return folder
    say(f"Fetching {SETS[name]} ...")
    FOLDER.mkdir(parents=True, exist_ok=True)
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential(multiplier=2, max=15),
        retry=tenacity.retry_if_exception_type(JarsUnobtainable),
        before_sleep=lambda state: say(f"  {state.outcome.exception() if state.outcome else ''}\n  trying again ..."),
        reraise=True,
    )
    retry(_fetch_once, name)
    return folder


def pinned(name: str) -> dict[str, str]:
    """Return the digest of each jar of one of `SETS` by its path at Maven Central; the file has the format of sha256sum."""
    lines = (PINNED / f"jars-{name}.sha256").read_text().splitlines()
    return {path: digest for digest, path in (line.split() for line in lines)}


def _fetch_once(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="part-", dir=FOLDER) as scratch:
        part = Path(scratch) / "jars"
        part.mkdir()
        for path, digest in pinned(name).items():
            jar = part / Path(path).name
            try:
                with urllib.request.urlopen(MAVEN_CENTRAL + path, timeout=TIMEOUT_S) as response, jar.open("wb") as file:
                    shutil.copyfileobj(response, file)
            except OSError as error:
                raise JarsUnobtainable(_message(name, f"{MAVEN_CENTRAL}{path}: {error}")) from error
            if _digest(jar) != digest:
                raise JarsUnobtainable(_message(name, f"{MAVEN_CENTRAL}{path} is not the file with the digest {digest}"))
        shutil.rmtree(folder_of(name), ignore_errors=True)
        part.rename(folder_of(name))


def _message(name: str, reason: str) -> str:
    return (
        f"{reason}. Expected: repo1.maven.org can be reached over HTTPS, also by a proxy in $HTTPS_PROXY, and with your own "
        f"certificate authority in $SSL_CERT_FILE. Or put the jars named in {PINNED.name}/jars-{name}.sha256 into "
        f"{folder_of(name)}"
    )


def _has_all(name: str, folder: Path) -> bool:
    jars = {folder / Path(path).name: digest for path, digest in pinned(name).items()}
    return all(jar.is_file() and _digest(jar) == digest for jar, digest in jars.items())


def _digest(jar: Path) -> str:
    with jar.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
