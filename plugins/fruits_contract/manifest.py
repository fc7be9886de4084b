"""The manifest that a stage writes, `runs/<run>/<stage>.json`.

Airflow decides by manifests alone; publish reads the Parquet files that they name.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["red", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One result of a check; `red` keeps the run from being published."""

    check: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class WrittenFile:
    """One file of a table: its key in the bucket, size in bytes and number of rows."""

    key: str
    size_bytes: int
    rows: int


@dataclass(frozen=True)
class Manifest:
    """What one stage did.

    Parameters
    ----------
    started_at
        UTC, ISO 8601.
    seconds
        Wall time of the stage's own work, the start of Spark left out.
    figures
        Further numbers of the stage by name, e.g. `explained_variance` or `images_per_second`.
    digests
        What the result depends on, by name, e.g. `extractor`, `engine`, `pca`.
    """

    stage: str
    run: str
    started_at: str
    seconds: float
    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    files: tuple[WrittenFile, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def red(self) -> tuple[Finding, ...]:
        """The findings that keep the run from being published."""
        return tuple(finding for finding in self.findings if finding.severity == "red")

    def summary(self) -> str:
        """Return the counts in one line for a log."""
        counts = f"{self.rows_in:,} in, {self.rows_out:,} out, {self.rows_rejected:,} rejected"
        return f"{self.stage}: {counts} in {self.seconds:.1f} s"

    def to_json(self) -> str:
        """Return the manifest as indented JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Read `to_json` back."""
        data = json.loads(text)
        data["files"] = tuple(WrittenFile(**item) for item in data["files"])
        data["findings"] = tuple(Finding(**item) for item in data["findings"])
        return cls(**data)
