"""supervisord as the parent of all programs: starting it, querying it, and leaving no process behind."""

import contextlib
import os
import subprocess
import sys
from http.client import HTTPException
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from local.console import say
from local.stack import StackError
from local.stack.stack import MARK, Stack
from local.waiting import wait_until

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 60
TERM_GRACE_S = 8
UNREACHABLE = (OSError, HTTPException, Fault)


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._mark = str(stack.state)
        self._sockets = stack.sockets
        self._log = stack.logs / "supervisord.log"

    def is_up(self) -> bool:
        """Return whether supervisord answers and is not shutting down."""
        return self._state() == "RUNNING"

    def is_complete(self) -> bool:
        """Return whether every program runs; some may have ended for good."""
        known = self.programs().values()
        return bool(known) and all(info["statename"] in ("STARTING", "RUNNING") for info in known)

    def programs(self) -> dict[str, dict[str, Any]]:
        """Return what supervisord knows of each program (statename, pid, start, ...); empty when it is down."""
        with contextlib.suppress(*UNREACHABLE):
            return {info["name"]: info for info in self._rpc.getAllProcessInfo()}
        return {}

    def start(self, config: str, environment: dict[str, str]) -> None:
        """Start supervisord, and by it the programs of its configuration."""
        file = self._sockets / "supervisord.conf"
        file.touch(mode=0o600)
        file.write_text(config)
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if done.returncode or not wait_until(self.is_up, timeout_s=START_TIMEOUT_S):
            raise StackError(
                f"supervisord did not start (code {done.returncode}): {(done.stdout + done.stderr).strip()[-800:]}\n"
                f"See {self._log}; its configuration is {file}"
            )

    def stop(self) -> None:
        """Stop all programs and supervisord, and return when no process of theirs is left."""
        with contextlib.suppress(*UNREACHABLE):
            self._rpc.shutdown()
            wait_until(lambda: self._state() is None, timeout_s=STOP_TIMEOUT_S)
            psutil.wait_procs(self.processes(), timeout=TERM_GRACE_S)  # supervisord itself exits last
        self.end_leftovers()

    def processes(self) -> list[psutil.Process]:
        """Return all processes that carry our mark: programs, their children, and children that lost their parents."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self._mark and process.pid != os.getpid():
                    found.append(process)
        return found

    def listens(self, port: int) -> bool:
        """Return whether one of our processes, and not somebody else's, listens at `port`."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                connections = process.net_connections("tcp")
                if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections):
                    return True
        return False

    def end_leftovers(self) -> None:
        """End what carries our mark, by SIGTERM and then SIGKILL; in rounds, because a parent may start another meanwhile."""
        for _ in range(3):
            processes = self.processes()
            if not processes:
                break
            say(f"Ending {len(processes)} leftover processes")
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.terminate()
            _, alive = psutil.wait_procs(processes, timeout=TERM_GRACE_S)
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(alive, timeout=TERM_GRACE_S)
        for name in ("supervisor.sock", "supervisord.pid"):
            (self._sockets / name).unlink(missing_ok=True)

    @property
    def _rpc(self) -> Any:
        transport = SupervisorTransport(serverurl=f"unix://{self._sockets}/supervisor.sock")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _state(self) -> str | None:
        """Return supervisord's state, None when it does not answer."""
        try:
            return str(self._rpc.getState()["statename"])
        except Fault:
            return "SHUTDOWN"  # it refuses every call while it stops the programs
        except (OSError, HTTPException):
            return None
