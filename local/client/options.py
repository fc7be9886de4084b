"""The options of a run, the same for the embedded services and for docker-compose, checked before anything is started."""

import argparse
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from fruits_contract.pipeline import InvalidParam
from local.client.upload import find_photos

SYNTHETIC = "synthetic"
EXPECTED_PARAMS = 'expected e.g. \'{"mode": "fit"}\''


@dataclass(frozen=True)
class RunRequest:
    """What to run.

    Parameters
    ----------
    drop
        Name of the drop below raw/.
    images
        Folder to upload into the drop first. None: the drop is run as it is in the bucket; `SYNTHETIC` gets synthetic photos.
    params
        Further parameters of the DAG.
    """

    drop: str
    images: Path | None
    params: Mapping[str, Any]


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add --images, --drop and --params."""
    parser.add_argument("--images", type=_folder, metavar="DIR", help="folder with one folder of photos per variety, to upload")
    parser.add_argument(
        "--drop",
        type=_drop,
        metavar="NAME",
        help="name of the drop below raw/ (default: the folder's name); without --images an existing drop, which is run as it is "
        f"(default: {SYNTHETIC}, with synthetic photos)",
    )
    parser.add_argument(
        "--params", type=_params, default={}, metavar="JSON", help='parameters of the DAG, e.g. \'{"mode": "fit"}\''
    )


def request(arguments: argparse.Namespace) -> RunRequest:
    """Return the request; raise `CannotUpload` for a folder that cannot be uploaded."""
    default = drop_name(arguments.images) if arguments.images else SYNTHETIC
    drop = arguments.drop or arguments.params.get("drop") or default
    if arguments.images:
        find_photos(arguments.images, drop=drop)
    return RunRequest(drop, arguments.images, arguments.params)


def drop_name(folder: Path) -> str:
    """Return the folder's name as a drop's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")[:100] or "photos"


def _folder(value: str) -> Path:
    path = Path(value).expanduser().resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is not a folder; expected one with a folder of photos per variety")
    if not os.access(path, os.R_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{path} cannot be read by this user")
    return path


def _drop(value: str) -> str:
    try:
        return layout.check_name(value, what="the drop's name")
    except layout.InvalidName as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _params(value: str) -> dict[str, Any]:
    try:
        chosen = json.loads(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is not JSON ({error}); {EXPECTED_PARAMS}") from error
    if not isinstance(chosen, dict):
        raise argparse.ArgumentTypeError(f"{value!r} is not a JSON object; {EXPECTED_PARAMS}")
    try:
        FEATURES_PIPELINE.resolve(chosen)
        if chosen.get("drop"):
            layout.check_name(chosen["drop"], what="drop")
    except (InvalidParam, layout.InvalidName) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except TypeError as error:
        raise argparse.ArgumentTypeError(f"{value}: a value has the wrong type ({error})") from error
    return chosen
