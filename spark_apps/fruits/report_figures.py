"""The report's two interactive figures, by Bokeh, as JSON that its JavaScript embeds.

Colors of axes and text are set by report.js, which knows whether the page is light or dark.
"""

import base64
import colorsys
import itertools
import json
from typing import Any

import numpy as np
from bokeh.core.types import ID
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, HoverTool, PanTool, Range1d, ResetTool, TapTool, WheelZoomTool
from bokeh.models.tools import Tool
from bokeh.plotting import figure

from fruits.photo_map import PhotoMap

MARKERS = ("circle", "triangle", "square", "diamond", "inverted_triangle")
NO_PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # one transparent pixel
FIGURE_HEIGHT_PX, MAP_HEIGHT_PX = 300, 560
# Bokeh puts a column's value where @ and its name are.
TOOLTIP = """
<div style="display:flex;gap:8px;align-items:center;max-width:300px;color:#1d2520;background:#fff;padding:2px">
<img src="@thumbnail" alt="" width="64" height="64" style="border-radius:4px">
<div><b>@label</b><br><span style="font-size:11px;overflow-wrap:anywhere">@path</span></div></div>
"""


def colors_of(varieties: list[str]) -> dict[str, str]:
    """Return a color per variety, as far from its neighbours in the alphabet as the number allows, legible on light and dark."""
    colors = {}
    for number, variety in enumerate(varieties):
        hue = number * 0.618034 % 1  # golden ratio: the next hue is always far from the last ones
        lightness = (0.45, 0.58)[number % 2]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.62)
        colors[variety] = f"#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}"
    return colors


def scree_figure(spectrum: list[float], *, kept: int) -> dict[str, Any]:
    """Return the scree plot: bars for the share of each component, a line for their sum, a dashed line at k."""
    ranks = np.arange(1, len(spectrum) + 1)
    source = ColumnDataSource({"rank": ranks, "share": np.array(spectrum), "total": np.cumsum(spectrum)})
    plot = _figure("scree", FIGURE_HEIGHT_PX, x_axis_label="component", y_axis_label="share of the variance")
    bars = plot.vbar(x="rank", top="share", width=0.8, source=source, color="#6f94c4", legend_label="each component")
    plot.line(x="rank", y="total", source=source, color="#3f9b56", line_width=2.5, legend_label="cumulative")
    label = f"k = {kept}: {sum(spectrum[:kept]):.1%}"
    plot.vspan(x=[kept], color="#d0453c", line_dash="dashed", line_width=2, legend_label=label)
    tooltips = [("component", "@rank"), ("share", "@share{0.0%}"), ("cumulative", "@total{0.0%}")]
    plot.add_tools(HoverTool(tooltips=tooltips, renderers=[bars], mode="vline"))
    plot.y_range = Range1d(start=0, end=1.02)
    plot.toolbar_location = None
    plot.legend.location = "center_right"
    plot.legend.background_fill_alpha = plot.legend.border_line_alpha = 0
    return embedded(plot)


def map_figure(photos: PhotoMap) -> dict[str, Any]:
    """Return the map; report.js switches it between `pca` and `tsne`, highlights varieties and marks the chosen photo."""
    varieties = sorted(set(photos.labels))
    colors = colors_of(varieties)
    shapes = dict(zip(varieties, itertools.cycle(MARKERS)))
    size = 10.0 if len(photos.labels) <= 800 else 6.5
    columns: dict[str, Any] = {
        "x": photos.pca[:, 0],
        "y": photos.pca[:, 1],
        "path": photos.paths,
        "label": photos.labels,
        "color": [colors[label] for label in photos.labels],
        "marker": [shapes[label] for label in photos.labels],
        "alpha": [0.8] * len(photos.labels),
        "size": [size] * len(photos.labels),
        "thumbnail": [data_uri(photos.thumbnails.get(path)) for path in photos.paths],
    }
    # Without a photo, Bokeh has no range to show and warns.
    empty = {} if photos.labels else {"x_range": Range1d(start=0, end=1), "y_range": Range1d(start=0, end=1)}
    plot = _figure("map", MAP_HEIGHT_PX, **empty, x_axis_label="component 1", y_axis_label="component 2")
    points = plot.scatter(
        "x",
        "y",
        source=ColumnDataSource(columns, name="photos"),
        size="size",
        color="color",
        marker="marker",
        fill_alpha="alpha",
        line_alpha=0,
    )
    points.selection_glyph = points.nonselection_glyph = None
    chosen = ColumnDataSource({"x": [], "y": []}, name="chosen")
    plot.scatter("x", "y", source=chosen, size=20, marker="circle", fill_alpha=0, line_width=3, line_color="#d0453c")
    tools: list[Tool] = [PanTool(), WheelZoomTool(), ResetTool(), TapTool(renderers=[points])]
    plot.add_tools(*tools, HoverTool(tooltips=TOOLTIP, renderers=[points], limit=1, attachment="horizontal"))
    return embedded(plot)


def data_uri(webp: bytes | None) -> str:
    """Return a picture as a data URI; an empty picture for None."""
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}" if webp else NO_PICTURE


def embedded(plot: figure) -> dict[str, Any]:
    """Return a figure as JSON for `Bokeh.embed.embed_item`, to be shown in the element of its name."""
    item: dict[str, Any] = json.loads(json.dumps(json_item(plot, target=ID(plot.name or ""))))
    return item


def _figure(name: str, height_px: int, **options: Any) -> figure:
    plot = figure(
        name=name,
        height=height_px,
        sizing_mode="stretch_width",
        tools="",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **options,
    )
    plot.toolbar.logo = None
    return plot
