"""The results of a benchmark as JSON, out/bench/<name>.json, and as Markdown for the terminal and docs/performance.md."""

import os
import platform
import re
import shutil
import statistics
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.rounds import Rounds

REPO = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0))
PACKAGES = ("numpy", "pillow", "pyarrow", "pyspark", "ai-edge-litert", "openvino", "tensorflow-cpu", "keras", "apache-airflow")

Ratio = float | Mapping[str, "Ratio"]


@dataclass(frozen=True)
class Results:
    """What a benchmark found.

    Parameters
    ----------
    ratios
        By the names that docs/performance.md explains; a mapping where there are several, e.g. one per engine.
    settings
        The size of the measurement.
    checks
        Evidence that the contenders did the same work, e.g. differences between their results.
    """

    rounds: Rounds
    ratios: Mapping[str, Ratio]
    settings: Mapping[str, Any]
    checks: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, name: str, *, machine: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return the content of the JSON file."""
        return {
            "benchmark": name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
            "seconds": round(seconds),
            "settings": dict(self.settings),
            "machine": dict(machine),
            "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
            "ratios": dict(self.ratios),
            "figures": self.rounds.samples,
            "failed": self.rounds.failed,
            "checks": dict(self.checks),
        }


def machine() -> dict[str, Any]:
    """Describe this machine and its load."""
    cpu = dict(re.findall(r"^(.+?)\s*: (.*)$", Path("/proc/cpuinfo").read_text().split("\n\n")[0], re.MULTILINE))
    return {
        "cpu": cpu.get("model name", platform.machine()),
        "cores": CORES,
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        "is_virtual": "hypervisor" in cpu.get("flags", "").split(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _commit() -> str:
    """Return the commit of this checkout, marked `-dirty` when files differ from it."""
    if shutil.which("git") is None:
        return "unknown"
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=REPO, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def to_markdown(content: Mapping[str, Any]) -> str:
    """Return the content of a JSON file as Markdown: ratios, figures, checks and the conditions of the measurement."""
    machine = content["machine"]
    rounds = max((len(samples) for figures in content["figures"].values() for samples in figures.values()), default=0)
    ratios = [(f"`{name}`", f"**{_number(value)}**") for name, value in flatten(content["ratios"])]
    figures = [
        (contender, quantity, _number(min(samples)), _number(statistics.median(samples)), _number(max(samples)))
        for contender, quantities in content["figures"].items()
        for quantity, samples in quantities.items()
    ]
    figures += [(contender, f"failed: {reason}", "", "", "") for contender, reason in content["failed"].items()]
    parts = [
        markdown_table(("ratio", "value"), ratios),
        markdown_table(("contender", "quantity", "min", "median", "max"), figures),
        "\n".join(f"- {name}: {_inline(value)}" for name, value in content["checks"].items() if value),
        f"Measured on {content['date'][:10]}, rounds {rounds}, {_inline(content['settings'])}; commit `{content['commit']}`. "
        f"{machine['cpu']}{', virtual' if machine['is_virtual'] else ''}, {machine['cores']} cores, {machine['memory_gb']} GB; "
        f"{machine['system']}; load average before: {machine['load_average']}. {_inline(content['versions'])}.",
    ]
    return "\n\n".join(part for part in parts if part)


def flatten(ratios: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield each ratio with the names that lead to it, joined by dots."""
    for name, value in ratios.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in GitHub's Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def _number(value: float) -> str:
    """Return a number with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _inline(value: Any) -> str:
    """Return nested values in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_inline(item)}" for name, item in value.items())
    if isinstance(value, list):
        return " and ".join(map(_inline, value))
    return _number(value) if isinstance(value, float) else str(value)
