"""supervisord as the parent of all programs: starting it, asking it, and leaving no process behind.

It must not know what the programs do.
"""

import contextlib
import os
import subprocess
import sys
import time
from http.client import HTTPException
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from local.console import say
from local.stack.environment import MARK
from local.stack.programs import Program, supervisord_config
from local.stack.state import Places

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 60
TERM_GRACE_S = 8


class SupervisorFailed(Exception):
    """supervisord did not come up; the message says what it printed."""


def ask(places: Places) -> Any:
    """Return supervisord's RPC interface; a call raises OSError when nobody answers."""
    transport = SupervisorTransport(serverurl=f"unix://{places.sockets}/supervisor.sock")
    return ServerProxy("http://127.0.0.1", transport=transport).supervisor


def is_up(places: Places) -> bool:
    """Say whether our supervisord answers."""
    with contextlib.suppress(OSError, HTTPException, Fault):
        return bool(ask(places).getState()["statename"] == "RUNNING")
    return False


def is_whole(places: Places) -> bool:
    """Say whether every program runs; after a start that was killed half-way some are stopped."""
    known = states(places).values()
    return bool(known) and all(info["statename"] in ("STARTING", "RUNNING") for info in known)


def states(places: Places) -> dict[str, dict[str, Any]]:
    """Return what supervisord knows of each program (statename, pid, start, ...); empty when it is down."""
    with contextlib.suppress(OSError, HTTPException, Fault):
        return {info["name"]: info for info in ask(places).getAllProcessInfo()}
    return {}


def start(places: Places, programs: list[Program], environment: dict[str, str]) -> None:
    """Start supervisord with all programs stopped, after ending what an earlier one may have left."""
    end_leftovers(places)
    config = places.sockets / "supervisord.conf"
    config.touch(mode=0o600)
    config.write_text(supervisord_config(places, programs))
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_up(places):
        if done.returncode or time.monotonic() > deadline:
            raise SupervisorFailed(
                f"supervisord did not start (code {done.returncode}): {(done.stdout + done.stderr).strip()[-800:]}\n"
                f"See {places.logs / 'supervisord.log'}; its configuration is {config}"
            )
        time.sleep(0.1)


def start_group(places: Places, group: str) -> None:
    """Start the programs of a group without waiting for them."""
    ask(places).startProcessGroup(group, False)


def stop(places: Places) -> None:
    """Stop all programs and supervisord, and return when no process of theirs is left."""
    with contextlib.suppress(OSError, HTTPException, Fault):
        ask(places).shutdown()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while is_alive(places) and time.monotonic() < deadline:
        time.sleep(0.1)
    end_leftovers(places)


def is_alive(places: Places) -> bool:
    """Say whether a supervisord of ours exists, whether it answers or not."""
    return any("supervisor.supervisord" in _command(process) for process in marked(places))


def marked(places: Places) -> list[psutil.Process]:
    """Return all processes that carry our mark: programs, their children, and children that lost their parents."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(places.state) and process.pid != os.getpid():
                found.append(process)
    return found


def listens(places: Places, port: int) -> bool:
    """Say whether one of our processes, and not somebody else's, listens at `port`."""
    for process in marked(places):
        with contextlib.suppress(psutil.Error):
            connections = process.net_connections("tcp")
            if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections):
                return True
    return False


def end_leftovers(places: Places) -> None:
    """End what carries our mark, first asking, then not; in rounds, because a parent may start another meanwhile."""
    for _ in range(3):
        processes = marked(places)
        if not processes:
            break
        say(f"Ending {len(processes)} processes that were left")
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, alive = psutil.wait_procs(processes, timeout=TERM_GRACE_S)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=TERM_GRACE_S)
    for name in ("supervisor.sock", "supervisord.pid"):
        (places.sockets / name).unlink(missing_ok=True)


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []
