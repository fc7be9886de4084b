"""The command line that all benchmarks share: options, exit code, and where the results are stored."""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import ERRORS
from benchmarks.results import REPO, Results, machine, to_markdown
from local import interrupts
from local.console import say

OUT = REPO / "out" / "bench"
KEPT = REPO / "docs" / "performance"
IDLE_LOAD = 0.5


def parser(
    name: str, description: str | None, *, images: bool = False, photos: int = 0, repetitions: int = 5
) -> argparse.ArgumentParser:
    """Return a parser with the common options; `images` and `photos` (its default) add the options of those names."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    made.add_argument("--repetitions", type=int, default=repetitions, metavar="N", help="rounds (default: %(default)s)")
    made.add_argument("--keep", action="store_true", help="also store the results for docs/performance.md")
    if images:
        made.add_argument(
            "--images", type=_folder, required=True, metavar="DIR", help="folder with one folder of photos per variety"
        )
    if photos:
        help_text = f"photos per run; copies where the folder has fewer (default: {photos:,})"
        made.add_argument("--photos", type=int, default=photos, metavar="N", help=help_text)
    return made


def sizes(text: str) -> list[int]:
    """Parse a list of sizes, e.g. `1000,5000`."""
    return sorted(int(size) for size in text.split(","))


def _folder(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    if not text or not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder; set IMAGES=folder with one folder of photos per variety")
    return path


def main(name: str, arguments: argparse.Namespace, measure: Callable[[argparse.Namespace], Results]) -> int:
    """Measure, print and store; return the exit code: 0 success, 1 failure, 130 interrupted."""
    began, before = time.monotonic(), machine()
    if before["load_average"] > IDLE_LOAD:
        say(f"this machine is busy (load average {before['load_average']}): the figures will be worse, and vary more")
    try:
        with interrupts.raised_once():
            results = measure(arguments)
    except KeyboardInterrupt:
        say("Interrupted")
        return 130
    except (CannotMeasure, OSError, *ERRORS) as error:
        say(str(error))
        return 1
    content = results.to_json(name, machine=before, seconds=time.monotonic() - began)
    Console(width=None if sys.stdout.isatty() else 160).print(Markdown(to_markdown(content)))
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    say(f"written: {path.relative_to(REPO)}")
    if not results.ratios:
        say("there is no ratio: the contenders to compare failed")
        return 1
    if arguments.keep:
        KEPT.mkdir(exist_ok=True)
        shutil.copy(path, KEPT / path.name)
        say(f"kept: {(KEPT / path.name).relative_to(REPO)}; `make docs` updates docs/performance.md")
    return 0
