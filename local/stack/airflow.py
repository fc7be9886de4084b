"""The embedded Airflow: its settings, its processes, its database."""

import json
import subprocess
import sys
from importlib.metadata import version
from urllib.parse import quote

from local import AIRFLOW_USER, REPO
from local.console import say, working
from local.stack import StackError
from local.stack.stack import Stack

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


def command(process: str) -> list[str]:
    """Return the command line of one of `PROCESSES`."""
    return [sys.executable, "-m", "airflow", *PROCESSES[process]]


def settings(stack: Stack) -> dict[str, str]:
    """Return the variables that only Airflow's processes have."""
    url = stack.url("airflow")
    chosen = {
        "CORE__DAGS_FOLDER": REPO / "dags",
        "CORE__PLUGINS_FOLDER": REPO / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": True,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__FERNET_KEY": stack.secrets.airflow_fernet_key,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": stack.airflow / "passwords.json",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{stack.airflow}/airflow.db",
        "API__HOST": "127.0.0.1",
        "API__PORT": stack.ports["airflow"],
        "API__BASE_URL": url,
        "API__SECRET_KEY": stack.secrets.airflow_api_secret,
        "API_AUTH__JWT_SECRET": stack.secrets.airflow_jwt_secret,
        # as many processes as a laptop can run
        "API__WORKERS": 1,
        "CORE__PARALLELISM": 4,
        # the API server may be slow while Spark uses all cores
        "WORKERS__EXECUTION_API_TIMEOUT": 60,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        # the scheduler has nothing else to do: short intervals let runs advance within a second
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.25,
        # after a crash: tasks that nobody runs any more are found within a minute or two instead of five
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 30,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 90,
        # tasks are forked from a process that has loaded these once; none of our own code, so that the next task runs a changed
        # version, and nothing that starts threads
        "SCHEDULER__MP_START_METHOD": "forkserver",
        "SCHEDULER__MP_FORKSERVER_PRELOAD": ",".join(PRELOADED),
        # new and changed files are parsed within seconds; unchanged ones at the default interval
        "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": 2,
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 5,
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": stack.airflow / "bundles",
        "CONN_AWS_DEFAULT": _aws_connection(stack),
    }
    named = {f"AIRFLOW__{name}" if "__" in name else f"AIRFLOW_{name}": str(value) for name, value in chosen.items()}
    return {"AIRFLOW_HOME": str(stack.airflow), **named}


def _aws_connection(stack: Stack) -> str:
    """Return the connection with keys, region and addresses, as deployments have it: none of them is in Airflow's environment."""
    services = {name: {"endpoint_url": stack.url(name)} for name in ("s3", "emr")}
    extra = json.dumps({"region_name": stack.region, "service_config": services})
    keys = f"{quote(stack.secrets.s3_access_key)}:{quote(stack.secrets.s3_secret_key)}"
    return f"aws://{keys}@/?__extra__={quote(extra, safe='')}"


def prepare(stack: Stack) -> None:
    """Write the password, and migrate the database unless it has this Airflow's version.

    Raises
    ------
    StackError
        The migration failed; a database of a newer Airflow cannot be used by an older one.
    """
    passwords = stack.airflow / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({AIRFLOW_USER: stack.secrets.airflow_password}))
    marker = stack.airflow / "migrated"
    if (stack.airflow / "airflow.db").exists() and marker.exists() and marker.read_text() == version("apache-airflow"):
        return
    say("Airflow    preparing its database (once, about 15 s) ...")
    log = stack.logs / "airflow-migrate.log"
    with working("Preparing Airflow's database"), log.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env={**stack.services_env, **settings(stack)},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=MIGRATION_TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        raise StackError(
            f"`airflow db migrate` failed with exit code {done.returncode}; see {log}. To start with an empty history: "
            f"make down, delete {stack.airflow}, make up"
        )
    marker.write_text(version("apache-airflow"))
