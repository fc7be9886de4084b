"""Airflow's part of the embedded default: its settings, its processes, its database.

It must not know the other services: tasks reach them through the environment that all programs share.
"""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from local import REPO
from local.console import say
from local.stack.state import Places, Secrets

USER = "admin"
# serve-logs would open a port on all interfaces; with everything on one machine the API server reads the files itself
PROCESSES = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
MIGRATION_TIMEOUT_S = 600
PRELOADED = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.sdk.bases.sensor",
    "airflow.dag_processing.dagbag",
    "airflow.dag_processing.bundles.local",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.amazon.aws.operators.emr",
    "airflow.providers.amazon.aws.sensors.s3",
    "airflow.providers.amazon.aws.triggers.emr",
    "airflow.providers.amazon.aws.triggers.s3",
)


class MigrationFailed(Exception):
    """The database could not be brought to this Airflow's version; the message names the log."""


def command(process: str) -> list[str]:
    """Return the command line of one of `PROCESSES`."""
    return [sys.executable, "-m", "airflow", *PROCESSES[process]]


def settings(places: Places, *, port: int, secrets: Secrets) -> dict[str, str]:
    """Return Airflow's settings as environment variables."""
    url = f"http://127.0.0.1:{port}"
    chosen = {
        "CORE__DAGS_FOLDER": REPO / "dags",
        "CORE__PLUGINS_FOLDER": REPO / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": True,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__FERNET_KEY": secrets.airflow_fernet_key,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": _passwords_file(places),
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{places.airflow}/airflow.db",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": url,
        "API__SECRET_KEY": secrets.airflow_api_secret,
        "API_AUTH__JWT_SECRET": secrets.airflow_jwt_secret,
        # a laptop's worth of processes
        "API__WORKERS": 1,
        "CORE__PARALLELISM": 4,
        # while Spark has all cores, the API server may answer late
        "WORKERS__EXECUTION_API_TIMEOUT": 60,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        # nobody else waits for this scheduler: look often, runs advance within a second
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.25,
        # tasks are forked from a process that has loaded these once, instead of each loading them anew; no code of ours, so that
        # a change to it is seen by the next task, and nothing that starts threads
        "SCHEDULER__MP_START_METHOD": "forkserver",
        "SCHEDULER__MP_FORKSERVER_PRELOAD": ",".join(PRELOADED),
        # new and changed files are seen within seconds; unchanged ones are parsed again at the default pace
        "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": 2,
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 5,
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": places.airflow / "bundles",
        # keys, region and endpoints come from the environment, as on an instance with a role
        "CONN_AWS_DEFAULT": "aws://",
    }
    named = {f"AIRFLOW__{name}" if "__" in name else f"AIRFLOW_{name}": str(value) for name, value in chosen.items()}
    return {"AIRFLOW_HOME": str(places.airflow), **named}


def prepare(places: Places, *, environment: dict[str, str], secrets: Secrets) -> None:
    """Write the login, and bring the database to this Airflow's version unless it is there already.

    Raises
    ------
    MigrationFailed
        The log says why; a database of a newer Airflow cannot be used by an older one.
    """
    passwords = _passwords_file(places)
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({USER: secrets.airflow_password}))
    marker = places.airflow / "migrated"
    wanted = version("apache-airflow")
    if (places.airflow / "airflow.db").exists() and marker.exists() and marker.read_text() == wanted:
        return
    say("Airflow    preparing its database (once, about 15 s) ...")
    log = places.logs / "airflow-migrate.log"
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=MIGRATION_TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        raise MigrationFailed(
            f"`airflow db migrate` left with code {done.returncode}; {log} says why. To begin with an empty history: "
            f"make down, delete {places.airflow}, make up"
        )
    marker.write_text(wanted)


def _passwords_file(places: Places) -> Path:
    return places.airflow / "passwords.json"
