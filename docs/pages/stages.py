"""Writes docs/stages.md from the stages of all pipelines."""

import re

from docs.pages.text import page
from fruits_contract import pipelines


def content() -> str:
    """Return docs/stages.md."""
    parts = []
    for stage in pipelines.STAGES:
        parts += [f"## {stage.name}", stage.does, f"- reads: {_keys(stage.reads)}\n- writes: {_keys(stage.writes)}"]
    return page(
        "Stages",
        "A stage is one Spark app: `spark_apps/<stage>.py`, an EMR step, an Airflow task and a manifest "
        "`runs/<run>/<stage>.json`, all of the same name. Its arguments are under [parameters](parameters.md#of-a-stage), "
        "its keys under [bucket](bucket.md).",
        *parts,
    )


def _keys(listed: str) -> str:
    """Format the keys of a list as code; the rest is plain text."""
    return ", ".join(f"`{item}`" if re.search(r"[/.]", item) else item for item in listed.split(", "))
