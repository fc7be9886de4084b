"""Renders the model card of a classifier: its figures as JSON, and one HTML page that opens offline.

Reads nothing by itself: figures in, text out.

References
----------
Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

import importlib.resources
import io
from dataclasses import asdict
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from fruits.evaluation import Evaluation
from fruits.linear_fits import SHRINKAGE
from fruits.method_choice import TIE
from fruits_contract.classifier_pipeline import ClassifierRunParams
from fruits_contract.manifest import Finding, Manifest

MATRIX_CLASSES = 40  # of more, only the table of confusions is readable
CONFUSIONS_SHOWN = 30

INTENDED_USE = (
    "Names the fruit, the variety and the condition on a photo of a single piece of fruit on a plain light background.",
    'Answers below the threshold are "not sure"; photos far from everything trained on are "not a fruit I know". Show both so.',
)
LIMITS = (
    "It knows the folders it was trained on and nothing else; each figure below is about photos from the same studio.",
    "Conditions are read from few varieties: a rotten fruit of another kind may be called fresh. It is no check of food safety.",
    "Photos with other things on them, several fruits, or a busy background are outside its intended use.",
    "Folders without a word for a condition count as fresh.",
)
SPLIT = (
    "Held out from training: the last rotation axis of each variety, the last quarter of the frames where there is one axis, or "
    "a quarter of the originals with all their copies where names are no frames. Neighbouring frames of one axis are near "
    "copies. A random split puts such neighbours on both sides, so its figure is about frames almost identical to training "
    "frames, not about new photos."
)


def findings_of(new: Evaluation, current: Evaluation | None, *, current_id: str) -> tuple[Finding, ...]:
    """Compare with the current classifier on the same photos; a red finding keeps the new one from being promoted."""
    if current is None:
        return (Finding("not_worse", "info", "there is no current classifier for this extractor to compare with"),)
    worse = [
        f"{name} {new.metrics.get(name, 0.0):.4f} instead of {value:.4f}"
        for name, value in current.metrics.items()
        if name.endswith("_accuracy") and new.metrics.get(name, 0.0) < value
    ]
    if worse:
        message = f"worse than the current classifier {current_id} on the same {new.photos:,} held-out photos: {', '.join(worse)}"
        added = sorted(new.classes("variety") - current.classes("variety"))
        if added:
            message += f"; the current one does not know {', '.join(added)}"
        return (Finding("not_worse", "red", message),)
    message = f"no worse than the current classifier {current_id} on the same {new.photos:,} held-out photos"
    return (Finding("not_worse", "info", message),)


def card_of(
    new: Evaluation,
    current: Evaluation | None,
    *,
    trained: Manifest,
    params: ClassifierRunParams,
    findings: tuple[Finding, ...],
) -> dict[str, Any]:
    """Return the card as plain data, the content of `card.json`."""
    return {
        "model_id": trained.digests["classifier"],
        "extractor": params.extractor,
        "run": params.run,
        "release": params.release,
        "created_at": trained.started_at,
        "metrics": new.metrics,
        "random_split_accuracy": trained.figures["random_split_accuracy"],
        "split": SPLIT,
        "intended_use": INTENDED_USE,
        "limits": LIMITS,
        "sure_above": params.sure_above,
        "photos": {"all": trained.rows_in, "trained_on": trained.rows_out, "held_out": new.photos},
        "training_photos": trained.figures["training_photos"],
        "meanings": trained.figures["meanings"],
        "method": trained.figures["method"],
        "methods": trained.figures["methods"],
        "method_parameters": {"tie": TIE, "shrinkage": SHRINKAGE},
        "left_out": trained.figures["left_out"],
        "evaluation": new.to_dict(),
        "current": {"model_id": params.current, "metrics": current.metrics} if current else None,
        "findings": [asdict(finding) for finding in findings],
    }


def page(card: dict[str, Any]) -> str:
    """Return the card as one HTML page without any outside reference."""
    template = importlib.resources.files("fruits").joinpath("model_card.html").read_text()
    heads = card["evaluation"]["heads"]
    return (
        jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        .from_string(template)
        .render(
            **card,
            heads=heads,
            is_promotable=all(finding["severity"] != "red" for finding in card["findings"]),
            reliability={name: _reliability_diagram(head) for name, head in heads.items()},
            matrix={name: _confusion_matrix(head) for name, head in heads.items() if len(head["classes"]) <= MATRIX_CLASSES},
            confusions_shown=CONFUSIONS_SHOWN,
        )
    )


def _reliability_diagram(head: dict[str, Any]) -> str:
    figure = Figure(figsize=(4, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], linestyle="--", color="#8a948c", linewidth=1)
    bins = head["reliability"]
    total = sum(item["count"] for item in bins)
    axes.scatter(
        [item["probability"] for item in bins],
        [item["accuracy"] for item in bins],
        s=[20 + 380 * item["count"] / total for item in bins],
        color="#2f6b3a",
        alpha=0.75,
        linewidths=0,
    )
    axes.set(xlabel="probability stated", ylabel="share that is right", xlim=(0, 1.03), ylim=(0, 1.03))
    return _svg(figure)


def _confusion_matrix(head: dict[str, Any]) -> str:
    names = [item["name"] for item in head["classes"]]
    position = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for item in head["classes"]:
        if item["recall"] is not None:
            counts[position[item["name"]], position[item["name"]]] = item["recall"] * item["tested"]
    for item in head["confusions"]:
        if item["truth"] in position:
            counts[position[item["truth"]], position[item["answer"]]] = item["count"]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.4 + 0.28 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        is_dark = shares[row, column] > 0.6
        text_color = "white" if is_dark else "#1d2520"
        axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", fontsize=7, color=text_color)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="answer", ylabel="truth")
    return _svg(figure)


def _svg(figure: Figure) -> str:
    content = io.StringIO()
    figure.savefig(content, format="svg")
    text = content.getvalue()
    return text[text.index("<svg") :]
