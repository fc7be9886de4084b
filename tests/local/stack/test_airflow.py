"""What tasks are forked from has loaded what it was told to, and no threads that a fork would lose."""

import subprocess
import sys

from local.stack.airflow import PRELOADED

FORBIDDEN = ("fruits_airflow", "fruits_contract", "deltalake", "numpy", "pyarrow")


def test_what_is_loaded_before_the_fork_exists_and_starts_no_thread() -> None:
    code = (
        "import importlib, os, sys\n"
        "for name in sys.argv[1].split(','): importlib.import_module(name)\n"  # the fork server passes over what is missing
        "print(len(os.listdir('/proc/self/task')), sorted({name.split('.')[0] for name in sys.modules} & {*sys.argv[2:]}))"
    )
    words = [sys.executable, "-c", code, ",".join(PRELOADED), *FORBIDDEN]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 []"
