"""How far a stage is, `runs/<run>/<stage>.progress.json`: written by the driver every few seconds, read by whoever waits."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a stage is with what it does at the moment.

    Parameters
    ----------
    what
        What the stage does, e.g. "reading features".
    done, total
        In `unit`s; `total` is 0 where it is unknown.
    seconds
        Since the stage began with it.
    per_second
        In `unit`s, since the first were done: what is loaded before does not count. 0 while it is unknown.
    """

    what: str
    done: int = 0
    total: int = 0
    unit: str = "tasks"
    seconds: float = 0.0
    per_second: float = 0.0

    def summary(self) -> str:
        """Return the progress in one line for a log, with speed and time left once something is done."""
        if not self.total:
            return f"{self.what}, {_duration(self.seconds)}"
        line = f"{self.what}: {self.done:,} of {self.total:,} {self.unit} in {_duration(self.seconds)}"
        if self.per_second >= 1:
            line += f", {self.per_second:,.0f} {self.unit}/s"
        if self.per_second and self.done < self.total:
            line += f", about {_duration((self.total - self.done) / self.per_second)} left"
        return line

    def to_json(self) -> str:
        """Return the progress as JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read `to_json` back."""
        return cls(**json.loads(text))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 180 else f"{seconds / 60:.0f} min"
