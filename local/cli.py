"""The command line of the embedded services: up, down, status, env, photos, pack, run, serve, notebook."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local import AIRFLOW_USER, interrupts
from local.client import options
from local.console import say
from local.stack import StackError, services
from local.stack.stack import Stack

OK, FAILED = 0, 1
# names that would take precedence over, or mix with, the variables of `make env`
FOREIGN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ENDPOINT_URL")

Command = Callable[[argparse.Namespace, Stack], int]


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    command: Command = arguments.command
    try:
        with interrupts.raised_once():
            return command(arguments, Stack.load())
    except KeyboardInterrupt:
        say("Interrupted")
        return interrupts.EXIT_CODE
    except (StackError, OSError, ValueError) as error:
        say(str(error))
        return FAILED


def _up(arguments: argparse.Namespace, stack: Stack) -> int:
    stack = services.up(stack)
    print(f"Airflow    {stack.url('airflow')}   user {AIRFLOW_USER}   password {stack.secrets.airflow_password}")
    print(f"S3         {stack.url('s3')}   bucket {stack.bucket}")
    print(f"EMR        {stack.url('emr')}")
    if stack.master == "yarn":
        print(f"YARN       {stack.url('resource-manager')}")
    print('For your own tools:  eval "$(make -s env)"')
    return OK


def _down(arguments: argparse.Namespace, stack: Stack) -> int:
    services.down(stack)
    return OK


def _status(arguments: argparse.Namespace, stack: Stack) -> int:
    rows = services.status(stack)
    if not rows:
        raise StackError("The services have never been started here; start them with `make up`.")
    table = Table(box=None, pad_edge=False)
    for heading in ("service", "state", "pid", "address", "log"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(row.program, row.state, str(row.pid or ""), row.address, str(row.log))
    # a pipe gets whole lines, whatever width it claims
    Console(width=None if sys.stdout.isatty() else 400).print(table)
    return OK if all(row.state == "running" for row in rows) else FAILED


def _env(arguments: argparse.Namespace, stack: Stack) -> int:
    services.require_up(stack)
    for name in FOREIGN:
        if name in os.environ:
            print(f"unset {name}")
    for name, value in stack.env.items():
        quoted = value.replace("'", "'\\''")
        print(f"export {name}='{quoted}'")
    return OK


def _photos(arguments: argparse.Namespace, stack: Stack) -> int:
    from local.client import synthetic_photos

    folder = arguments.folder.expanduser().resolve()
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; synthetic photos go into a folder of their own")
    synthetic_photos.generate(folder)
    print(f"{len(list(folder.glob('*/*.jpg')))} synthetic photos are in {folder}")
    return OK


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    # imported here because only this command needs them
    from local.client.airflow_api import AirflowRefused
    from local.client.run import CONNECTION_LOST, explain_lost_connection, run
    from local.deploy import deploy
    from release import contents, extractor, weights, wheelhouse

    expected = (contents.MissingSource, wheelhouse.WheelsMissing, weights.WrongWeights, extractor.BadExport, AirflowRefused)
    request = options.request(arguments)
    with services.session(stack) as running:
        try:
            place = deploy(running, tensorflow=request.params.get("engine") == "tensorflow")
            return run(place, request)
        except expected as error:
            say(str(error))
        except CONNECTION_LOST as error:
            say(explain_lost_connection(error))
            for row in services.status(running):
                if row.state != "running":
                    say(f"{row.program} is {row.state}; its log is {row.log}")
            say("Read the logs (`make status` lists them all), then repeat the command: uploaded photos are not sent again")
    return FAILED


def _pack(arguments: argparse.Namespace, stack: Stack) -> int:
    from local.client.pack_folder import pack_folder

    drop = arguments.drop or options.drop_name(arguments.images)
    pack_folder(arguments.images, drop=drop, out=arguments.out.expanduser().resolve())
    return OK


def _serve(arguments: argparse.Namespace, stack: Stack) -> int:
    from local.serve import NoClassifier, serve

    with services.session(stack) as running:
        try:
            return serve(running)
        except NoClassifier as error:
            say(str(error))
    return FAILED


def _notebook(arguments: argparse.Namespace, stack: Stack) -> int:
    from local.notebook import notebook

    with services.session(stack) as running:
        return notebook(running)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="S3, EMR and Airflow on this machine, without root, Docker or an account.",
        epilog="$FRUITS_STATE names another state folder than .fruits/state. "
        "$FRUITS_SPARK=yarn runs Spark on a real YARN instead of local[*]. "
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    add("up", _up, "start the services and leave them running")
    add("down", _down, "stop the services; their contents stay")
    add("status", _status, "show each service with its process, address and log; exit code 1 unless all run")
    add("env", _env, 'print the variables for your own tools, for eval "$(...)"')
    add("serve", _serve, "answer which fruit is on a photo with the current classifier, until Ctrl-C")
    add("notebook", _notebook, "open notebooks/explore.ipynb in JupyterLab, until Ctrl-C")
    photos = add("photos", _photos, "write synthetic photos into an empty folder, to try a drop without photos of your own")
    photos.add_argument("folder", type=Path, help="the folder")
    pack = add("pack", _pack, "write shards of photos, to upload them with a tool of your own")
    pack.add_argument("--images", type=options.folder_of_photos, required=True, metavar="DIR", help="folder of photos")
    pack.add_argument("--drop", type=options.name_of_drop, metavar="NAME", help="name of the drop (default: the folder's name)")
    pack.add_argument(
        "--out",
        type=Path,
        default=Path("out/packed"),
        metavar="DIR",
        help="for a folder with the drop's name (default: %(default)s)",
    )
    run = add("run", _run, "featurize photos, with the services up for as long as it takes")
    options.add_to(run)
    return parser
