"""What all benchmarks share: options, rounds in which contenders alternate, figures, the table and the JSON file.

It must not know what is measured.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.children import ChildFailed
from benchmarks.rig import CORES, CannotMeasure
from local import REPO, interrupts
from local.client.airflow_api import AirflowRefused
from local.client.upload import CannotUpload
from local.console import say
from local.stack import StackError
from release import contents, weights
from release.extractor import BadExport
from release.wheelhouse import WheelsMissing

OUT = REPO / "out" / "bench"
KEPT = REPO / "docs" / "performance"
REPETITIONS = 5
EXPECTED = (
    CannotMeasure,
    ChildFailed,
    CannotUpload,
    contents.MissingSource,
    weights.WrongWeights,
    BadExport,
    WheelsMissing,
    StackError,
    AirflowRefused,
    OSError,
)

Samples = dict[str, float]
Ratio = float | Mapping[str, "Ratio"]


@dataclass
class Figures:
    """The samples of each contender, by what was measured; one sample per round, in order."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, contender: str, measured: Samples) -> None:
        """Add one round of one contender."""
        of = self.samples.setdefault(contender, {})
        for name, value in measured.items():
            of.setdefault(name, []).append(value)

    def of(self, contender: str, name: str) -> list[float]:
        """Return the samples of one figure."""
        return self.samples[contender][name]


def alternate(contenders: Mapping[str, Callable[[], Samples]], *, repetitions: int, figures: Figures | None = None) -> Figures:
    """Run each contender once per round (A B C A B C ...), so that what else the machine does falls on all of them.

    Interrupted after the first round, it returns the figures of the rounds that are whole.
    """
    figures = figures or Figures()
    for number in range(1, repetitions + 1):
        measured: dict[str, Samples] = {}
        try:
            for name, run in contenders.items():
                began = time.monotonic()
                measured[name] = run()
                words = ", ".join(f"{what} {value:,.4g}" for what, value in measured[name].items())
                say(f"round {number} of {repetitions}: {name}: {words} ({time.monotonic() - began:.0f} s)")
        except KeyboardInterrupt:
            if number == 1:
                raise
            say(f"interrupted in round {number}: these are the figures of the rounds before it")
            break
        for name, samples in measured.items():
            figures.add(name, samples)
    return figures


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the rounds' ratios: a round's contenders shared the machine's state, rounds did not."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Return min, median and max."""
    return {"min": min(samples), "median": statistics.median(samples), "max": max(samples)}


@dataclass(frozen=True)
class Outcome:
    """What a benchmark found.

    Parameters
    ----------
    ratios
        By the names that docs/performance.md explains; a mapping where there are several, e.g. one per engine.
    units
        Unit of each figure, by its name.
    settings
        How large the measurement was.
    checks
        Further facts that make the figures believable, e.g. differences between the contenders' results.
    """

    figures: Figures
    ratios: Mapping[str, Ratio]
    units: Mapping[str, str]
    settings: Mapping[str, Any]
    checks: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def parser(name: str, text: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=text)
    made.add_argument("--repetitions", type=_positive, default=REPETITIONS, metavar="N", help="rounds (default: %(default)s)")
    made.add_argument("--keep", action="store_true", help="also store the figures for docs/performance.md")
    return made


def add_images(made: argparse.ArgumentParser) -> None:
    """Add the option that names the photos."""
    made.add_argument("--images", type=_folder, required=True, metavar="DIR", help="folder with one folder of photos per variety")


def add_counts(made: argparse.ArgumentParser, **defaults: tuple[int, str]) -> None:
    """Add one option per count, e.g. `photos=(10_000, "photos of ...")`."""
    for name, (default, text) in defaults.items():
        option = f"--{name.replace('_', '-')}"
        made.add_argument(option, type=_positive, default=default, metavar="N", help=f"{text} (default: {default:,})")


def _positive(word: str) -> int:
    count = int(word.replace(",", "").replace("_", ""))
    if count < 1:
        raise argparse.ArgumentTypeError(f"{word} is less than 1")
    return count


def _folder(word: str) -> Path:
    path = Path(word).expanduser().resolve()
    if not word or not path.is_dir():
        raise argparse.ArgumentTypeError(f"{word!r} is not a folder; give IMAGES=folder with one folder of photos per variety")
    return path


def main(name: str, arguments: argparse.Namespace, measure: Callable[[argparse.Namespace], Outcome]) -> int:
    """Measure, print and write; return the exit code: 0 done, 1 failed, 130 interrupted."""
    began, before = time.monotonic(), machine()
    if before["load_average"] > 0.5:
        say(f"other programs are at work here (load average {before['load_average']}): the figures will be worse and uneven")
    try:
        with interrupts.raised_once():
            outcome = measure(arguments)
    except KeyboardInterrupt:
        say("Interrupted")
        return 130
    except EXPECTED as error:
        say(str(error))
        return 1
    content = to_json(name, outcome, machine=before, seconds=time.monotonic() - began)
    print_table(content)
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    say(f"written: {path.relative_to(REPO)}")
    if arguments.keep:
        KEPT.mkdir(exist_ok=True)
        shutil.copy(path, KEPT / path.name)
        say(f"kept: {(KEPT / path.name).relative_to(REPO)}; `make docs` writes docs/performance.md from it")
    return 0


def to_json(name: str, outcome: Outcome, *, machine: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return what `out/bench/<name>.json` holds."""
    return {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "seconds": round(seconds),
        "repetitions": max(len(values) for figures in outcome.figures.samples.values() for values in figures.values()),
        "settings": dict(outcome.settings),
        "machine": dict(machine),
        "versions": {**versions("numpy", "pillow", "pyarrow", "pyspark", "ai-edge-litert"), **outcome.versions},
        "ratios": outcome.ratios,
        "units": dict(outcome.units),
        "figures": {
            contender: {what: {**spread(values), "samples": values} for what, values in figures.items()}
            for contender, figures in outcome.figures.samples.items()
        },
        "checks": dict(outcome.checks),
    }


def print_table(content: Mapping[str, Any], console: Console | None = None) -> None:
    """Print figures and ratios."""
    console = console or Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title=f"{content['benchmark']}: {content['repetitions']} rounds", title_justify="left")
    for heading in ("contender", "figure", "unit"):
        table.add_column(heading)
    for heading in ("min", "median", "max"):
        table.add_column(heading, justify="right")
    for contender, figures in content["figures"].items():
        for number, (what, values) in enumerate(figures.items()):
            cells = [shown(values[name]) for name in ("min", "median", "max")]
            table.add_row("" if number else contender, what, content["units"][what], *cells)
    console.print(table)
    ratios = Table(title="ratios", title_justify="left", show_header=False)
    for name, value in flat(content["ratios"]):
        ratios.add_row(name, f"{value:.3g}")
    console.print(ratios)


def flat(ratios: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, float]]:
    """Yield each ratio with the names that lead to it, joined by dots."""
    for name, value in ratios.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def shown(value: float) -> str:
    """Return a figure as tables show it: three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """Return what the figures depend on, as far as this machine tells."""
    cpu = dict(re.findall(r"^(.+?)\s*: (.*)$", Path("/proc/cpuinfo").read_text().split("\n\n")[0], re.MULTILINE))
    release = platform.freedesktop_os_release()
    return {
        "cpu": cpu.get("model name", platform.machine()),
        "cores": CORES,
        "computes_in_bfloat16": bool({"avx512_bf16", "amx_bf16"} & set(cpu.get("flags", "").split())),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{release.get('PRETTY_NAME', 'Linux')}, Linux {platform.release()}",
        "is_virtual": "hypervisor" in cpu.get("flags", "").split(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def versions(*packages: str) -> dict[str, str]:
    """Return Python's version and those of some packages of this environment."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _commit() -> str:
    """Return the commit of this checkout, marked when files differ from it."""
    if shutil.which("git") is None:
        return "unknown"
    said = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=REPO, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"
