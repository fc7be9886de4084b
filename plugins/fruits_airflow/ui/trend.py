"""A line of a figure over the last runs, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 220, 44, 4


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One figure of the last runs.

    Parameters
    ----------
    points
        "x,y x,y ..." as SVG's polyline takes it, oldest first.
    last
        Position of the newest point.
    """

    name: str
    values: tuple[float, ...]
    points: str
    last: tuple[float, float]


def trend(name: str, newest_first: Sequence[float | None], *, runs: int = 30) -> Trend | None:
    """Return the trend of the last `runs` known values, scaled from 0 to the largest; None for fewer than two."""
    values = tuple(reversed([value for value in newest_first if value is not None][:runs]))
    if len(values) < 2:
        return None
    largest = max(values) or 1
    positions = [
        (
            round(MARGIN + index * (WIDTH - 2 * MARGIN) / (len(values) - 1), 1),
            round(HEIGHT - MARGIN - value / largest * (HEIGHT - 2 * MARGIN), 1),
        )
        for index, value in enumerate(values)
    ]
    return Trend(name=name, values=values, points=" ".join(f"{x},{y}" for x, y in positions), last=positions[-1])
