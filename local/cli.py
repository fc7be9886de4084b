"""The command line of the embedded default: up, down, status, env, run."""

import argparse
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from local import interrupts
from local.client import options
from local.console import say
from local.stack import environment, services
from local.stack.airflow import MigrationFailed
from local.stack.readiness import NotReady
from local.stack.spark import JarsUnobtainable
from local.stack.state import Places
from local.stack.supervision import SupervisorFailed

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
EXPECTED = (
    services.NotUp,
    services.OtherMaster,
    NotReady,
    MigrationFailed,
    JarsUnobtainable,
    SupervisorFailed,
    OSError,
    ValueError,
)


def main(words: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = _parser().parse_args(words)
    command: Callable[[argparse.Namespace, Places], int] = arguments.command
    try:
        with interrupts.raised_once():
            return command(arguments, Places.default())
    except KeyboardInterrupt:
        say("Interrupted")
        return INTERRUPTED
    except EXPECTED as error:
        say(str(error))
        return FAILED


def _up(arguments: argparse.Namespace, places: Places) -> int:
    running = services.up(places)
    print(
        f"Airflow    {running.airflow_url}   user {running.airflow_user}   password {running.airflow_password}\n"
        f"S3         {running.s3_url}   bucket {running.bucket}\n"
        f"EMR        {running.emr_url}\n"
        + (f"YARN       {running.yarn_url}\n" if running.yarn_url else "")
        + 'For your own tools:  eval "$(make -s env)"'
    )
    return OK


def _down(arguments: argparse.Namespace, places: Places) -> int:
    services.down(places)
    return OK


def _status(arguments: argparse.Namespace, places: Places) -> int:
    rows = services.status(places)
    table = Table(box=None, pad_edge=False)
    for heading in ("service", "state", "pid", "address", "log"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(row.program, row.state, str(row.pid or ""), row.address, str(row.log))
    # a pipe gets whole lines, whatever width it claims
    Console(width=None if sys.stdout.isatty() else 400).print(table)
    return OK if rows and all(row.state == "running" for row in rows) else FAILED


def _env(arguments: argparse.Namespace, places: Places) -> int:
    for line in environment.shell_lines(services.current(places).env):
        print(line)
    return OK


def _run(arguments: argparse.Namespace, places: Places) -> int:
    # what these import is only needed here
    from local.client.airflow_api import AirflowRefused
    from local.client.run import run
    from local.deploy import publish
    from release import contents, extractor, weights, wheelhouse

    expected = (contents.MissingSource, wheelhouse.WheelsMissing, weights.WrongWeights, extractor.BadExport, AirflowRefused)
    with services.session(places) as running:
        try:
            place = publish(running, tensorflow=arguments.params.get("engine") == "tensorflow")
        except expected as error:
            say(str(error))
            return FAILED
        code: int = run(place, images=arguments.images, drop=arguments.drop, params=arguments.params)
        return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="S3, EMR and Airflow on this machine, without root, Docker or an account.",
        epilog="$FRUITS_STATE names another state folder than .fruits/state. "
        "$FRUITS_SPARK=yarn lets Spark run on a real YARN instead of local[*]. "
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Callable[[argparse.Namespace, Places], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    add("up", _up, "start the services and leave them running")
    add("down", _down, "stop the services; what they hold stays")
    add("status", _status, "show each service with its process, address and log; exit code 1 unless all run")
    add("env", _env, 'print the variables that reach the services, for eval "$(...)"')
    run = add("run", _run, "featurize photos, with the services up for as long as it takes")
    options.add_to(run)
    return parser
