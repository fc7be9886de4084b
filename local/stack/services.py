"""The services as a whole: up, down, status, and up for the length of a run."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import tenacity

from local import interrupts
from local.console import say, working
from local.stack import StackError, airflow, jars, programs, readiness, spark, spark_history, yarn
from local.stack.stack import Stack
from local.stack.supervision import Supervisor


@dataclass(frozen=True)
class Status:
    """One row of `make status`."""

    program: str
    state: str
    pid: int
    address: str
    log: Path


def require_up(stack: Stack) -> None:
    """Raise `StackError` when the services are down."""
    if not Supervisor(stack).is_up():
        raise StackError("The services are not up; start them with `make up`.")


def up(stack: Stack) -> Stack:
    """Return when all services answer; if one is down, all are restarted. They stay up until `down`.

    A start that fails or is interrupted is undone. Spark runs on what $FRUITS_SPARK requests. Without it: as in the services
    that are up already, else as local[*].

    Returns
    -------
    Stack
        With the ports in use.

    Raises
    ------
    StackError
        The services are up and run Spark on something else, or a service did not start.
    """
    running = _ensure_up(stack)
    _kept_up(running).touch()
    return running


def _ensure_up(stack: Stack) -> Stack:
    requested = spark.requested_master()
    stack.make_folders()
    with interrupts.raised_once(), _one_at_a_time(stack):
        stack = Stack.load(stack.state)  # another `up` may have been faster
        if Supervisor(stack).is_complete():
            if requested not in (None, stack.master):
                raise StackError(
                    f"The services are up with SPARK={stack.master}, but SPARK={requested} was requested. "
                    "Run `make down` first (this ends their runs) or omit SPARK."
                )
            readiness.wait(stack)
            return stack
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(readiness.PortTaken),
            stop=tenacity.stop_after_attempt(3),
            before_sleep=_report_taken_port,
            reraise=True,
        )
        running = stack.master if Supervisor(stack).is_up() else "local"
        return retry(_start, replace(stack, master=requested or running))


def down(stack: Stack) -> None:
    """Stop everything and return when no process is left; the contents of S3 and Airflow stay."""
    stack.make_folders()
    with _one_at_a_time(stack):
        _stop(stack)


def status(stack: Stack) -> list[Status]:
    """Return one row per program; none before the first start of a version that has these programs."""
    if not stack.ports.keys() >= programs.PREFERRED_PORTS.keys():
        return []
    known = Supervisor(stack).programs()
    rows = []
    for program in programs.table(stack):
        info = known.get(program.name, {"statename": "DOWN", "pid": 0})
        server = "airflow" if program.name == "api-server" else program.name
        address = stack.url(server) if info["pid"] and server in stack.ports else ""
        rows.append(Status(program.name, info["statename"].lower(), info["pid"], address, stack.logs / program.log_name))
    return rows


@contextmanager
def session(stack: Stack) -> Iterator[Stack]:
    """Run the body with the services up; the last session stops them, unless `up` has started them."""
    stack.make_folders()
    with interrupts.raised_once(), (stack.sockets / "sessions.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another command, which is stopping the services ...")
            fcntl.flock(lock, fcntl.LOCK_SH)
        if not Supervisor(stack).is_up():
            _kept_up(stack).unlink(missing_ok=True)  # left by services that were killed
        running = _ensure_up(stack)
        try:
            yield running
        finally:
            if not _kept_up(running).exists() and _is_last(lock):
                down(running)


def _kept_up(stack: Stack) -> Path:
    """Return the file that says that `up` has started the services, or has found them up: no session stops them."""
    return stack.sockets / "kept-up"


def _is_last(lock: IO[str]) -> bool:
    """Return whether no other session holds the lock; if so, keep further ones waiting until it is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _report_taken_port(state: tenacity.RetryCallState) -> None:
    assert state.outcome is not None, "tenacity calls this after an attempt"
    say(f"{state.outcome.exception()}; starting again on other ports")


def _start(stack: Stack) -> Stack:
    began = time.monotonic()
    supervisor = Supervisor(stack)
    try:
        if stack.master == "yarn":
            yarn.check(stack)
            jars.fetch("yarn")
        with working("Fetching the S3A jars for Spark"):
            jars.fetch("spark35")
        supervisor.end_leftovers()  # before ports are chosen: they may hold the preferred ones
        stack = replace(stack, ports=programs.choose_ports(stack.master))
        stack.save()
        spark.write_config(stack.spark_conf, s3_endpoint=stack.url("s3"))
        spark_history.prepare(stack)
        if stack.master == "yarn":
            yarn.prepare(stack)
        airflow.prepare(stack)
        with working("Starting the services"):
            supervisor.start(programs.supervisord_config(stack, programs.table(stack)), stack.services_env)
        readiness.wait(stack)
    except BaseException:
        _stop(stack)
        raise
    say(f"Up in {time.monotonic() - began:.0f} s")
    return stack


def _stop(stack: Stack) -> None:
    with interrupts.ignored():
        if Supervisor(stack).processes():
            say("Stopping the services ...")
            with working("Stopping the services"):
                Supervisor(stack).stop()
            say("All stopped")
        _kept_up(stack).unlink(missing_ok=True)


@contextmanager
def _one_at_a_time(stack: Stack) -> Iterator[None]:
    """Let a second `up` or `down` wait for the first."""
    with (stack.sockets / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another `make up` or `make down` to finish ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
