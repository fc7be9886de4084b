"""The options of a run, the same for the embedded services and for docker-compose, checked before anything is started."""

import argparse
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from local.client.upload import find_photos

SYNTHETIC = "synthetic"

T = TypeVar("T")


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
    train
        Whether to train a classifier on the published features afterwards.
    is_packed
        Whether new photos are uploaded in shards.
    """

    drop: str
    images: Path | None
    params: Mapping[str, Any]
    train: bool = False
    is_packed: bool = False


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add --images, --drop, --params, --train and --pack; a value that cannot be used is wrong usage (exit code 2)."""
    parser.add_argument(
        "--images", type=folder_of_photos, metavar="DIR", help="folder with one folder of photos per variety, to upload"
    )
    parser.add_argument(
        "--drop",
        type=name_of_drop,
        metavar="NAME",
        help="name of the drop below raw/ (default: the folder's name); without --images an existing drop, which is run as it is "
        f"(default: {SYNTHETIC}, with synthetic photos)",
    )
    parser.add_argument(
        "--params", type=_usage(_params), default={}, metavar="JSON", help='parameters of the DAG, e.g. \'{"mode": "fit"}\''
    )
    parser.add_argument("--train", action="store_true", help="then train a classifier on all published features")
    parser.add_argument("--pack", action="store_true", help="upload new photos in shards of 128 MB")


def request(arguments: argparse.Namespace) -> RunRequest:
    """Return the request that the parsed options make."""
    default = drop_name(arguments.images) if arguments.images else SYNTHETIC
    drop = arguments.drop or arguments.params.get("drop") or default
    return RunRequest(drop, arguments.images, arguments.params, arguments.train, arguments.pack)


def drop_name(folder: Path) -> str:
    """Return the folder's name as a drop's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")[:100] or "photos"


def folder_of_photos(value: str) -> Path:
    """Parse the value of --images."""
    return _usage(_folder)(value)


def name_of_drop(value: str) -> str:
    """Parse the value of --drop."""
    return _usage(_drop)(value)


def _usage(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show the message of an error."""

    def parse_or_explain(value: str) -> T:
        try:
            return parse(value)
        except (ValueError, TypeError, OSError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_or_explain


def _folder(value: str) -> Path:
    path = Path(value).expanduser().resolve()
    find_photos(path, drop=SYNTHETIC)
    return path


def _drop(value: str) -> str:
    return layout.check_name(value, what="the drop's name")


def _params(value: str) -> dict[str, Any]:
    try:
        chosen = json.loads(value)
        FEATURES_PIPELINE.resolve(chosen)
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(
            f'{value!r} is not a JSON object of parameters ({error}); expected e.g. \'{{"mode": "fit"}}\''
        ) from error
    if chosen.get("drop"):
        layout.check_name(chosen["drop"], what="drop")
    return dict(chosen)
