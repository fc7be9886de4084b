"""The run's report: one HTML page that opens offline, and its figures as JSON.

It must not read storage or Spark: manifests and arrays in, text out.
"""

import base64
import importlib.resources
import io
from dataclasses import dataclass
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from fruits.models import PcaCard
from fruits.reduction import Pca
from fruits_contract.manifest import Finding, Manifest


@dataclass(frozen=True)
class MapPoints:
    """A sample of the projected photos: the first two coordinates, shape (n, 2), and the variety of each."""

    xy: np.ndarray
    labels: list[str]
    total: int


def figures_of(manifests: list[Manifest], card: PcaCard, *, drop: str, mode: str, release: str) -> dict[str, Any]:
    """Return what the report says, as plain data; `report.json` is this."""
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
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(ranks, pca.spectrum[:shown], color="#9db8d9", label="each component")
    axes.set(xlabel="component", ylabel="share of the variance")
    total = axes.twinx()
    total.plot(ranks, np.cumsum(pca.spectrum)[:shown], color="#2f6b3a", label="cumulative")
    total.axvline(kept, color="#b3261e", linestyle="--")
    total.annotate(f"k = {kept}: {pca.explained:.1%}", (kept, 0.05), xytext=(6, 0), textcoords="offset points", color="#b3261e")
    total.set(ylim=(0, 1.02), ylabel="cumulative share")
    return _inline(figure)


def _map(points: MapPoints) -> str:
    figure = Figure(figsize=(7, 5.2), layout="constrained")
    axes = figure.subplots()
    varieties = sorted(set(points.labels))
    colours = mpl.colormaps["nipy_spectral"](np.linspace(0.03, 0.95, len(varieties)))
    labels = np.array(points.labels)
    for variety, colour in zip(varieties, colours, strict=True):
        here = points.xy[labels == variety]
        axes.scatter(here[:, 0], here[:, 1], s=7, color=colour, alpha=0.7, linewidths=0, label=variety)
    axes.set(xlabel="component 1", ylabel="component 2")
    axes.set_aspect("equal", adjustable="datalim")
    if len(varieties) <= 40:
        figure.legend(loc="outside right upper", fontsize=7, markerscale=2.5, frameon=False)
    return _inline(figure)


def _inline(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=144)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
