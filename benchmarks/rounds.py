"""Rounds in which contenders take turns, and the ratio of two contenders."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.commands import CannotMeasure
from local.console import say

Samples = dict[str, float]


@dataclass
class Rounds:
    """The samples of each contender by quantity, one per round; and the contenders that failed, with the reason."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def median(self, contender: str, quantity: str) -> float:
        """Return the median of one quantity."""
        return statistics.median(self.samples[contender][quantity])

    def ratio(self, one: tuple[str, str], other: tuple[str, str]) -> float:
        """Return the median of the ratios of two (contender, quantity) within a round: rounds differ in the machine's state."""
        pairs = zip(self.samples[one[0]][one[1]], self.samples[other[0]][other[1]], strict=True)
        return statistics.median(first / second for first, second in pairs)


def alternate(contenders: Mapping[str, Callable[[], Samples]], *, repetitions: int, skip_failed: bool = False) -> Rounds:
    """Run each contender once per round (A B C A B C ...), so that other load on the machine affects all of them.

    An interrupt ends the measurement with the complete rounds; in the first round it is raised. With `skip_failed` the others
    continue when one fails, and nothing is returned of that one but the reason.
    """
    rounds = Rounds()
    for number in range(1, repetitions + 1):
        finished: dict[str, Samples] = {}
        try:
            for name, run in contenders.items():
                if name in rounds.failed:
                    continue
                began = time.monotonic()
                try:
                    finished[name] = run()
                except CannotMeasure as error:
                    if not skip_failed:
                        raise
                    say(f"{name} failed: {error}")
                    rounds.failed[name] = str(error).splitlines()[0]
                    rounds.samples.pop(name, None)
                    continue
                figures = ", ".join(f"{quantity} {value:,.4g}" for quantity, value in finished[name].items())
                say(f"round {number} of {repetitions}: {name}: {figures} ({time.monotonic() - began:.0f} s)")
        except KeyboardInterrupt:
            if number == 1:
                raise
            say(f"interrupted in round {number}: the figures are those of the rounds before it")
            break
        for name, samples in finished.items():
            for quantity, value in samples.items():
                rounds.samples.setdefault(name, {}).setdefault(quantity, []).append(value)
    return rounds
