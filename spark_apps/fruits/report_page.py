"""Renders the report as one HTML page that opens offline: no outside request, which its Content-Security-Policy enforces."""

import importlib.resources
import json
from typing import Any

import jinja2
from bokeh.resources import Resources
from markupsafe import Markup

from fruits.photo_map import PhotoMap
from fruits.report_figures import colors_of, map_figure, scree_figure
from fruits_contract import report_cost

EXAMPLES = 3  # pictures of a variety
MIXED_SHOWN = 15


def page(figures: dict[str, Any], photos: PhotoMap) -> str:
    """Return the page of figures (`fruits.report.figures_of`, with `drift`)."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["share"] = _share
    environment.filters["usd"] = _usd
    names = [variety["name"] for variety in figures["varieties"]]
    items = {"map": map_figure(photos), "scree": scree_figure(figures["spectrum"], kept=figures["pca"]["k"])}
    places = {name: figures["map"][name] for name in ("pca", "tsne", "neighbours")}
    return environment.from_string(_text("report.html")).render(
        **figures,
        colors=colors_of(names),
        examples=_examples(photos),
        pictures=len(photos.thumbnails),
        mixed=figures["clusters"]["mixed"][:MIXED_SHOWN],
        css=Markup(_text("report.css")),
        js=Markup(_text("report.js")),
        bokeh_js=[Markup(text) for text in Resources(mode="inline", components=["bokeh"]).js_raw],
        actual_cost=Markup(report_cost.UNKNOWN),
        data=_script_json({"items": items, "places": places}),
    )


def _text(name: str) -> str:
    return importlib.resources.files("fruits").joinpath(name).read_text()


def _examples(photos: PhotoMap) -> dict[str, list[int]]:
    """Return the numbers of a few photos with thumbnails per variety; fewer, or none, where there are no more."""
    examples: dict[str, list[int]] = {label: [] for label in photos.labels}
    for number, (path, label) in enumerate(zip(photos.paths, photos.labels, strict=True)):
        if path in photos.thumbnails and len(examples[label]) < EXAMPLES:
            examples[label].append(number)
    return examples


def _script_json(data: Any) -> Markup:
    """Return JSON that can stand within a script element, whatever the names of photos are."""
    return Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def _usd(value: float) -> str:
    return f"{value:.2f} USD" if value >= 0.1 else f"{value:.3f} USD"
