"""The one machine of a cluster: its folders, its environment, the programs it runs; knows nothing of EMR's states."""

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

# The second process of every group reads a pipe whose other end only this service holds. When that end closes, because
# the program is done or because the service died (even of SIGKILL), it kills the group: nothing outlives the service.
GUARDED = """exec 3<&0 </dev/null
( trap '' HUP INT TERM; read -r _ <&3; kill -KILL 0 ) >/dev/null 2>&1 &
exec "$@" 3<&-
"""


class Node:
    """Runs programs under names, by which another thread can stop them."""

    def __init__(self, home: Path, spark_conf: Path, configurations: list[JsonObject]) -> None:
        self.home, self._spark_conf = home, spark_conf
        self._spark_defaults = find_properties(configurations, "spark-defaults")
        exported = find_properties(configurations, "spark-env", "export")
        self._environment = {**os.environ, **exported, "SPARK_CONF_DIR": str(home / "conf")}
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._doomed: dict[str, list[psutil.Process]] = {}
        self._unwanted: set[str | None] = set()

    def prepare(self) -> None:
        """Make the folders and this cluster's own SPARK_CONF_DIR, where the later of two lines wins."""
        (self.home / "node").mkdir(parents=True)
        shutil.copytree(self._spark_conf, self.home / "conf")
        with (self.home / "conf" / "spark-defaults.conf").open("a", encoding="utf-8") as defaults:
            defaults.write("".join(f"\n{key} {value}" for key, value in self._spark_defaults.items()) + "\n")

    def run(self, name: str, command: list[str], folder: Path) -> int:
        """Run a program to its end; returns its exit code. What it leaves running goes on until `release`."""
        cwd, env = self.home / "node", self._environment
        if (program := shutil.which(command[0], path=env.get("PATH"))) is None:
            raise FileNotFoundError(f"Cannot run program {command[0]!r}: it is not on PATH={env.get('PATH')}")
        note(folder, f"startExec {command}")
        guarded = ["/bin/sh", "-c", GUARDED, "sh", program, *command[1:]]
        with (folder / "stdout").open("ab") as stdout, (folder / "stderr").open("ab") as stderr, self._lock:
            if self._unwanted & {name, None}:
                raise InterruptedError("stopped before it began")
            process = self._processes[name] = subprocess.Popen(
                guarded, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, start_new_session=True
            )
        code = process.wait()
        self._kill(name)
        note(folder, f"ended with exit code {code}")
        return code

    def stop(self, name: str | None = None, *, grace_s: float = KILL_GRACE_S) -> None:
        """Begin to end a program, or all, and start it no more: SIGTERM, and SIGKILL after a while."""
        with self._lock:
            self._unwanted.add(name)
            for each, process in self._processes.items():
                if name in (each, None) and process.returncode is None:
                    # Descendants may have left the group (Spark's Python daemon does); now they are still linked.
                    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                        root = psutil.Process(process.pid)
                        self._doomed[each] = [*root.children(recursive=True), root]
                        os.killpg(process.pid, signal.SIGTERM if grace_s else signal.SIGKILL)
                    threading.Timer(grace_s, self._kill, [each]).start()

    def release(self, name: str | None = None) -> None:
        """Kill what a program, or all, left running: the guard sees its pipe close."""
        with self._lock:
            for each in [each for each in self._processes if name in (each, None)]:
                self._processes.pop(each).communicate()

    def _kill(self, name: str) -> None:
        for process in self._doomed.get(name, []):  # psutil knows an id that was given to another process since
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def find_properties(configurations: list[JsonObject], *path: str) -> dict[str, str]:
    """Collect the properties of one classification, given as the path of nested names to it; a later entry wins."""
    found: dict[str, str] = {}
    for entry in (entry for entry in configurations if entry.get("Classification") == path[0]):
        nested = entry.get("Configurations", [])
        found |= find_properties(nested, *path[1:]) if path[1:] else entry.get("Properties", {})
    return found
