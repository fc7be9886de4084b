"""The embedded default as a whole: up, down, up for the length of a run.

What a user of it needs is on `Services`. It must not know how a program is supervised (`supervision`) or which programs
there are (`programs`).
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import interrupts
from local.console import say
from local.stack import airflow, environment, programs, readiness, spark, supervision, yarn
from local.stack.state import Places, Record, Secrets


@dataclass(frozen=True)
class Services:
    """The running services: where they are and how to log in."""

    places: Places
    record: Record

    @property
    def env(self) -> dict[str, str]:
        """Variables by which boto3, obstore, deltalake and Spark reach the services; to be added to a process's own."""
        return environment.client(self.places, self.record)

    @property
    def bucket(self) -> str:
        return environment.BUCKET

    @property
    def s3_url(self) -> str:
        return environment.url(self.record.ports["s3"])

    @property
    def emr_url(self) -> str:
        return environment.url(self.record.ports["emr"])

    @property
    def yarn_url(self) -> str | None:
        """The ResourceManager's page, where Spark runs on YARN."""
        return environment.url(self.record.ports["resource-manager"]) if self.record.spark == "yarn" else None

    @property
    def airflow_url(self) -> str:
        return environment.url(self.record.ports["airflow"])

    @property
    def airflow_user(self) -> str:
        return airflow.USER

    @property
    def airflow_password(self) -> str:
        return self.record.secrets.airflow_password


@dataclass(frozen=True)
class Status:
    """One row of `make status`."""

    program: str
    state: str
    pid: int
    address: str
    log: Path


class NotUp(Exception):
    """The services are asked for something while they are down."""


class OtherMaster(Exception):
    """The services are up, and their Spark runs on something else than what is asked for."""


def current(places: Places) -> Services:
    """Return the running services; raise `NotUp` when they are down."""
    record = Record.read(places)
    if record is None or not supervision.is_up(places):
        raise NotUp("The services are not up; start them with `make up`.")
    return Services(places, record)


def up(places: Places) -> Services:
    """Start what is not running and return when everything answers; a start that fails or is interrupted is undone.

    Spark runs on what $FRUITS_SPARK says; where that says nothing, as the services do that are up already, else as local[*].

    Raises
    ------
    OtherMaster
        The services are up and run Spark on something else; nothing was changed.
    """
    asked = spark.asked_master()
    places.make()
    with interrupts.raised_once(), _one_at_a_time(places):
        record = Record.read(places)
        if record and supervision.is_whole(places):
            if asked not in (None, record.spark):
                raise OtherMaster(
                    f"The services are up with SPARK={record.spark}, asked for is SPARK={asked}: `make down` first, which ends "
                    f"their runs, or leave out SPARK={asked} to use them as they are."
                )
            readiness.wait(places, record)
            return Services(places, record)
        secrets = record.secrets if record else Secrets.generate()
        for is_last in (False, False, True):
            try:
                return _start(places, secrets, asked or "local")
            except readiness.PortTaken as error:
                _stop(places)
                if is_last:
                    raise
                say(f"{error}; starting again on other ports")
            except BaseException:
                _stop(places)
                raise
        raise AssertionError("the last try either returns or raises")


def down(places: Places) -> None:
    """Stop everything; what S3 and Airflow hold stays. Returns when no process is left."""
    places.make()
    with _one_at_a_time(places):
        _stop(places)


def status(places: Places) -> list[Status]:
    """Return one row per program."""
    record = Record.read(places)
    if record is None:
        return []
    known = supervision.states(places)
    rows = []
    for program in programs.table(places, record):
        info = known.get(program.name, {"statename": "DOWN", "pid": 0})
        port = record.ports.get("airflow" if program.name == "api-server" else program.name)
        is_shown = port is not None and info["pid"]
        address = environment.url(port) if port is not None and is_shown else ""
        rows.append(Status(program.name, info["statename"].lower(), info["pid"], address, places.logs / program.log_name))
    return rows


@contextmanager
def session(places: Places) -> Iterator[Services]:
    """Have the services up in the body. They are stopped afterwards, however it ends, unless they were up before."""
    with interrupts.raised_once():
        was_up = supervision.is_up(places)
        services = up(places)
        try:
            yield services
        finally:
            if not was_up:
                down(places)


def _start(places: Places, secrets: Secrets, master: str) -> Services:
    began = time.monotonic()
    if master == "yarn":
        yarn.check(places)
        spark.fetch_jars(places, "yarn")
    spark.fetch_jars(places)
    supervision.end_leftovers(places)  # before ports are chosen: they may hold the preferred ones
    ports = programs.choose_ports(master)
    record = Record(ports, secrets, master)
    record.write(places)
    services = Services(places, record)
    spark.write_config(places, s3_endpoint=services.s3_url)
    if master == "yarn":
        yarn.prepare(places, record)
    variables = environment.services(places, record)
    table = programs.table(places, record)
    supervision.start(places, table, variables)
    for group in dict.fromkeys(program.group for program in table):
        if group == "airflow":
            airflow.prepare(places, environment={**variables, **programs.airflow_settings(places, record)}, secrets=secrets)
        supervision.start_group(places, group)
    readiness.wait(places, record)
    say(f"Up in {time.monotonic() - began:.0f} s")
    return services


def _stop(places: Places) -> None:
    with interrupts.ignored():
        if supervision.marked(places):
            say("Stopping the services ...")
            supervision.stop(places)
            say("All stopped")


@contextmanager
def _one_at_a_time(places: Places) -> Iterator[None]:
    """Let a second `up` or `down` wait for the first."""
    with (places.sockets / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another `make up` or `make down` to finish ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.closing(lock):
            yield
