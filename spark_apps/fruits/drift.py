"""Compares a run with the previous run, by the figures of their reports."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SHIFTS_SHOWN = 10


@dataclass(frozen=True)
class Change:
    """One figure of both runs; None where a run has none. The report shows a share as a percentage."""

    name: str
    before: float | None
    now: float | None
    is_share: bool = False


def changes_since(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return what changed between two reports' figures (`report.json`), of which the earlier may be of an earlier release.

    `shifts` lists the varieties whose mean moved most, in units of the variety's own spread before; only if both runs used the
    same PCA, because otherwise their means are in different spaces.
    """
    changes = [
        Change("photos", before["images"], now["images"]),
        Change("rejects, share", _reject_share(before), _reject_share(now), is_share=True),
        Change("components (k)", before["pca"]["k"], now["pca"]["k"]),
        Change("variance explained", _explained(before), _explained(now), is_share=True),
    ]
    return {
        "run": before["run"],
        "drop": before["drop"],
        "changes": [asdict(change) for change in changes],
        "shifts": _shifts(before, now) if before["pca"]["model_id"] == now["pca"]["model_id"] else [],
    }


def _reject_share(figures: dict[str, Any]) -> float | None:
    return figures["rejects"] / figures["images"] if figures["images"] else None


def _explained(figures: dict[str, Any]) -> float | None:
    explained: float | None = figures["explained_variance_of_this_run"]
    return explained


def _shifts(before: dict[str, Any], now: dict[str, Any]) -> list[dict[str, Any]]:
    old = {variety["name"]: variety for variety in before.get("varieties", [])}
    shifts = [
        {
            "variety": variety["name"],
            "shift": float(np.linalg.norm(np.subtract(variety["mean"], old[variety["name"]]["mean"])))
            / old[variety["name"]]["spread"],
        }
        for variety in now["varieties"]
        if variety["name"] in old and old[variety["name"]]["spread"] > 0
    ]
    return sorted(shifts, key=lambda shift: -float(shift["shift"]))[:SHIFTS_SHOWN]
