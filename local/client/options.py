"""The options of a run, the same for the embedded default and for docker-compose."""

import argparse
import json
import os
from pathlib import Path
from typing import Any


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add --images, --drop and --params."""
    parser.add_argument(
        "--images", type=_folder, metavar="DIR", help="folder with one folder of photos per variety (default: drawn ones)"
    )
    parser.add_argument("--drop", metavar="NAME", help="name of the drop below raw/ (default: the folder's name, or synthetic)")
    parser.add_argument(
        "--params", type=_params, default={}, metavar="JSON", help='parameters of the DAG, e.g. \'{"mode": "fit"}\''
    )


def _folder(word: str) -> Path:
    path = Path(word).expanduser().resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is not a folder; expected one with a folder of photos per variety")
    if not os.access(path, os.R_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{path} cannot be read by this user")
    return path


def _params(word: str) -> dict[str, Any]:
    try:
        params = json.loads(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{word!r} is not JSON ({error}); expected e.g. \'{{"mode": "fit"}}\'') from error
    if not isinstance(params, dict):
        raise argparse.ArgumentTypeError(f'{word!r} is not a JSON object; expected e.g. \'{{"mode": "fit"}}\'')
    return params
