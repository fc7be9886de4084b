"""A Docker engine for the tests: the machine's own, or one that the recipe beside the checkout can start."""

import os
import pwd
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import REPO

# Starts an engine from Debian's packages and makes local images under the names of public ones, on machines that cannot pull.
RECIPE = REPO.parent / "shared" / "docker-stand-ins.sh"
SUBSTITUTE_IMAGES = Path(__file__).parent / "substitute_images"
NEEDED = ("PATH", "DOCKER_CONFIG", "DOCKER_HOST")
PREPARE_LIMIT_S = 900


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Have an engine in the body and yield the variables by which `docker compose` uses it; skip where there is none."""
    if _answers(dict(os.environ)):
        yield {}
        return
    if os.geteuid() != 0 or not RECIPE.exists():
        pytest.skip(f"no Docker engine answers here, and none can be started (that needs root and {RECIPE})")
    variables = _of_recipe("env -0")
    was_up = _answers({**os.environ, **variables})
    try:
        _of_recipe("{ lab_tools && lab_start && lab_images; } >&2 && env -0", PYS="3.11 3.13")
        yield variables | _substitute_images(variables)
    finally:
        if not was_up:
            _of_recipe("lab_stop >&2; env -0")


def _answers(environment: dict[str, str]) -> bool:
    try:
        return all(
            subprocess.run(["docker", *argv], env=environment, capture_output=True, timeout=60, check=False).returncode == 0
            for argv in (("info",), ("compose", "version"))
        )
    except FileNotFoundError:
        return False


def _of_recipe(script: str, **variables: str) -> dict[str, str]:
    script = f". {shlex.quote(str(RECIPE))}; {script}"
    # it takes Python from this user's home, whatever HOME the tests are run with
    environment = {**os.environ, "HOME": pwd.getpwuid(os.getuid()).pw_dir, **variables}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, timeout=PREPARE_LIMIT_S, check=False)
    if done.returncode:
        pytest.skip(f"{RECIPE} could not start a Docker engine:\n{done.stderr.decode(errors='replace')[-2000:]}")
    found = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if "=" in line)
    return {name: found[name] for name in NEEDED}


def _substitute_images(variables: dict[str, str]) -> dict[str, str]:
    """Build what the recipe has no image for, and return the variables of docker-compose.yaml that name them."""
    for name in ("postgres", "localstack"):
        argv = ["docker", "build", "--quiet", "--tag", f"fruits-test/{name}", str(SUBSTITUTE_IMAGES / name)]
        subprocess.run(argv, env={**os.environ, **variables}, check=True, stdout=subprocess.DEVNULL)
    return {"POSTGRES_IMAGE": "fruits-test/postgres", "LOCALSTACK_IMAGE": "fruits-test/localstack"}
