"""Airflow's processes: what tasks are forked from, and where their credentials are."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from local.stack import airflow
from local.stack.airflow import PRELOADED
from local.stack.stack import Secrets, Stack

FORBIDDEN = ("fruits_airflow", "fruits_contract", "deltalake", "numpy", "pyarrow")


def test_what_is_loaded_before_the_fork_exists_and_starts_no_thread() -> None:
    code = (
        "import importlib, os, sys\n"
        "for name in sys.argv[1].split(','): importlib.import_module(name)\n"  # the fork server passes over what is missing
        "print(len(os.listdir('/proc/self/task')), sorted({name.split('.')[0] for name in sys.modules} & {*sys.argv[2:]}))"
    )
    argv = [sys.executable, "-c", code, ",".join(PRELOADED), *FORBIDDEN]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 []"


def test_airflow_has_its_keys_in_the_connection_and_nowhere_else(tmp_path: Path) -> None:
    stack = Stack(tmp_path, Secrets.generate(), {"airflow": 1, "s3": 2, "emr": 3})
    environment = {**stack.services_env, **airflow.settings(stack)}
    connection = environment.pop("AIRFLOW_CONN_AWS_DEFAULT")
    assert stack.secrets.s3_secret_key not in str(environment)
    assert not [name for name in environment if name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_ENDPOINT", "AWS_REGION"))]
    address = urlsplit(connection)
    assert (address.username, address.password) == (stack.secrets.s3_access_key, stack.secrets.s3_secret_key)
    extra = json.loads(parse_qs(address.query)["__extra__"][0])
    assert extra == {
        "region_name": "eu-north-1",
        "service_config": {"s3": {"endpoint_url": "http://127.0.0.1:2"}, "emr": {"endpoint_url": "http://127.0.0.1:3"}},
    }
