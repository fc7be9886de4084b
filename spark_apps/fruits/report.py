"""Renders the run's report: one HTML page that opens offline, and its figures as JSON.

Reads nothing by itself: manifests and arrays in, text out.
"""

import base64
import importlib.resources
import io
import itertools
from dataclasses import dataclass
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fruits.pca import Pca
from fruits.saved_pca import PcaCard
from fruits_contract.manifest import Finding, Manifest


@dataclass(frozen=True)
class MapPoints:
    """A sample of the projected photos: the first two coordinates, shape (n, 2), and the variety of each."""

    xy: np.ndarray
    labels: list[str]
    total: int


def figures_of(manifests: list[Manifest], card: PcaCard, *, drop: str, mode: str, release: str) -> dict[str, Any]:
    """Return the report's figures as plain data, the content of `report.json`."""
    by_stage = {manifest.stage: manifest for manifest in manifests}
    featurized = by_stage["featurize"]
    return {
        "run": featurized.run,
        "drop": drop,
        "mode": mode,
        "release": release,
        "images": featurized.rows_in,
        "features": featurized.rows_out,
        "rejects": featurized.rows_rejected,
        "reject_reasons": featurized.figures["reasons"],
        "projected": by_stage["transform_pca"].rows_out,
        "pca": card.__dict__,
        "explained_variance_of_this_run": by_stage["transform_pca"].figures["explained_variance"],
        "stages": [
            {
                "stage": manifest.stage,
                "started_at": manifest.started_at,
                "seconds": manifest.seconds,
                "images_per_second": round(manifest.rows_in / manifest.seconds, 1) if manifest.seconds else None,
            }
            for manifest in manifests
        ],
        "digests": {name: value for manifest in manifests for name, value in manifest.digests.items()},
        "findings": [finding.__dict__ for manifest in manifests for finding in manifest.findings],
    }


def page(figures: dict[str, Any], *, pca: Pca, points: MapPoints, rejects: list[dict[str, str]]) -> str:
    """Return the report as one HTML page without any outside reference."""
    template = importlib.resources.files("fruits").joinpath("report.html").read_text()
    red = [Finding(**finding) for finding in figures["findings"] if finding["severity"] == "red"]
    return (
        jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        .from_string(template)
        .render(**figures, red=red, scree=_scree(pca), map=_map(points), points=points, rejected=rejects)
    )


def _scree(pca: Pca) -> str:
    kept = len(pca.components)
    shown = min(max(2 * kept, 20), int(np.count_nonzero(pca.spectrum > 1e-12)) or 1)
    ranks = np.arange(1, shown + 1)
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.bar(ranks, pca.spectrum[:shown], color="#9db8d9")
    axes.set(xlabel="component", xlim=(0.3, shown + 0.7))
    axes.set_ylabel("share of the variance (bars)", color="#3d6494")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    total = axes.twinx()
    total.plot(ranks, np.cumsum(pca.spectrum)[:shown], color="#2f6b3a")
    total.axvline(kept, color="#b3261e", linestyle="--")
    # Beside the line of k, above the bars and below the curve; on the left where the right has no room.
    side, aligned = (-6, "right") if kept > 0.7 * shown else (6, "left")
    label, at = f"k = {kept}: {pca.explained:.1%}", (kept, 0.4 * pca.explained)
    total.annotate(label, at, xytext=(side, 0), textcoords="offset points", horizontalalignment=aligned, color="#b3261e")
    total.set(ylim=(0, 1.02))
    total.set_ylabel("cumulative share (line)", color="#2f6b3a")
    return _inline(figure)


def _map(points: MapPoints) -> str:
    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    axes = figure.subplots()
    varieties = sorted(set(points.labels))
    colours = mpl.colormaps["nipy_spectral"](np.linspace(0.03, 0.95, len(varieties)))
    labels = np.array(points.labels)
    size = 24 if len(labels) <= 1000 else 9
    # Neighbours in the legend have nearly the same colour, so they get different shapes.
    for variety, colour, shape in zip(varieties, colours, itertools.cycle("o^sD")):
        here = points.xy[labels == variety]
        axes.scatter(here[:, 0], here[:, 1], s=size, color=colour, marker=shape, alpha=0.75, linewidths=0, label=variety)
    axes.set(xlabel="component 1", ylabel="component 2")
    axes.set_aspect("equal", adjustable="datalim")
    if 0 < len(varieties) <= 40:
        figure.legend(loc="outside right upper", fontsize=8, markerscale=(36 / size) ** 0.5, frameon=False)
    return _inline(figure)


def _inline(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=144)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
