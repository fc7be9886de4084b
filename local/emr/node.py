"""The machine of a cluster: its folders, the environment of its programs, and its processes."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import psutil

from local.emr.logs import note
from local.emr.model import JsonObject

KILL_GRACE_S = 3.0

# The guard, a second process in every process group, reads a pipe whose other end only this service holds. The pipe
# closes when the program is released or the service dies (even of SIGKILL). Then the guard kills the group, so that
# nothing outlives the service.
GUARDED = """exec 3<&0 </dev/null
( trap '' HUP INT TERM; read -r _ <&3; kill -KILL 0 ) >/dev/null 2>&1 &
exec "$@" 3<&-
"""


class Node:
    """Runs programs under names, by which another thread can stop them."""

    def __init__(self, home: Path, spark_conf: Path, configurations: list[JsonObject]) -> None:
        self.home, self._spark_conf = home, spark_conf
        self._spark_defaults = find_properties(configurations, "spark-defaults")
        exports = find_properties(configurations, "spark-env", "export")
        self._environment = {**os.environ, **exports, "SPARK_CONF_DIR": str(home / "conf")}
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped_trees: dict[str, list[psutil.Process]] = {}
        self._stopped_names: set[str | None] = set()  # None stands for all

    def prepare(self) -> None:
        """Make the folders and the SPARK_CONF_DIR of this cluster; the last line of a property wins in Spark."""
        (self.home / "node").mkdir(parents=True)
        shutil.copytree(self._spark_conf, self.home / "conf")
        with (self.home / "conf" / "spark-defaults.conf").open("a", encoding="utf-8") as defaults:
            defaults.writelines(f"\n{key} {value}" for key, value in self._spark_defaults.items())

    def run(self, name: str, command: list[str], folder: Path) -> int:
        """Run a program to its end and return its exit code. What it leaves running goes on until `release`."""
        cwd, env = self.home / "node", self._environment
        program = shutil.which(command[0], path=env.get("PATH"))
        if program is None:
            raise FileNotFoundError(f"Cannot run program {command[0]!r}: it is not on PATH={env.get('PATH')}")
        note(folder, f"startExec {command}")
        guarded = ["/bin/sh", "-c", GUARDED, "sh", program, *command[1:]]
        with (folder / "stdout").open("ab") as stdout, (folder / "stderr").open("ab") as stderr, self._lock:
            if name in self._stopped_names or None in self._stopped_names:
                raise InterruptedError("stopped before it began")
            process = subprocess.Popen(
                guarded, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, start_new_session=True
            )
            self._processes[name] = process
        code = process.wait()
        self._kill_tree(name)
        note(folder, f"ended with exit code {code}")
        return code

    def stop(self, name: str | None = None, *, grace_s: float = KILL_GRACE_S) -> None:
        """Terminate a program, or all, without waiting, and refuse to start it: SIGTERM, then SIGKILL after `grace_s`."""
        with self._lock:
            self._stopped_names.add(name)
            for running_name, process in self._processes.items():
                if name not in (running_name, None) or process.returncode is not None:
                    continue
                # Descendants may have left the process group, as Spark's Python daemon does. psutil still finds them now.
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    root = psutil.Process(process.pid)
                    self._stopped_trees[running_name] = [*root.children(recursive=True), root]
                    os.killpg(process.pid, signal.SIGTERM if grace_s else signal.SIGKILL)
                threading.Timer(grace_s, self._kill_tree, [running_name]).start()

    def release(self, name: str | None = None) -> None:
        """Kill what a program, or all, left running: the guard sees its pipe close."""
        with self._lock:
            for released_name in list(self._processes):
                if name in (released_name, None):
                    self._processes.pop(released_name).communicate()

    def _kill_tree(self, name: str) -> None:
        for process in self._stopped_trees.get(name, []):
            with contextlib.suppress(psutil.NoSuchProcess):  # psutil also notices an id that was reused
                process.kill()


def find_properties(configurations: list[JsonObject], *path: str) -> dict[str, str]:
    """Collect the properties of a classification; `path` holds the names of the nested classifications, outermost first."""
    matching = [configuration for configuration in configurations if configuration.get("Classification") == path[0]]
    if len(path) > 1:
        nested = [inner for configuration in matching for inner in configuration.get("Configurations", [])]
        return find_properties(nested, *path[1:])
    return {name: value for configuration in matching for name, value in configuration.get("Properties", {}).items()}
