"""Writes docs/bucket.md from the keys that `fruits_contract.layout` and `.shards` define, and the tables' columns."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from docs.pages.text import page, table
from fruits_contract import columns, layout, shards

# A heading and the functions of `layout` and `shards` below it.
SECTIONS = {
    "Photos": ("raw_prefix", "raw_image", "shard", "shard_index", "ready"),
    "Contributions": (
        "contributed_image",
        "contribution_photo",
        "contribution_record",
        "contribution_claim",
        "erasure_request",
        "erasure_progress",
        "erasure_certificate",
        "erasure_certificate_page",
    ),
    "Code": ("release_prefix", "release_card", "package_zip", "stage_script", "bootstrap_script", "wheels_prefix"),
    "Models": (
        "extractor",
        "extractor_keras",
        "pca_arrays",
        "pca_card",
        "classifier_arrays",
        "classifier_card",
        "classifier_card_page",
    ),
    "One run": (
        "run_prefix",
        "run_params",
        "plan_summary",
        "batch",
        "retained",
        "replaced_pca",
        "training_points",
        "manifest",
        "progress",
        "task_counts",
        "report_page",
        "report_data",
        "final_features",
    ),
    "Tables, while a run writes them": (
        "features_drop",
        "features_part",
        "rejects_part",
        "projected_part",
        "delta_log",
        "tables_lease",
    ),
    "Costs": ("month_costs", "cluster_cost"),
    "Logs": ("logs_uri", "step_log"),
}
# Functions of `layout` and `shards` that return no key, or that of an object beside another.
NO_KEY = {
    *("check_name", "run_name", "uri", "variety_of", "partition_values", "beside", "contribution_of", "is_in_delta_log"),
    *("is_shard", "is_index", "index_of", "name_in_shard", "md5_of"),
}


class Undocumented(RuntimeError):
    """The code has something that this file does not place in any page."""


def content() -> str:
    """Return docs/bucket.md."""
    members = {**vars(layout), **vars(shards)}
    functions = {name: function for name, function in members.items() if _is_public_function(function)}
    placed = {name for names in SECTIONS.values() for name in names} | NO_KEY
    if missing := sorted(functions.keys() ^ placed):
        raise Undocumented(f"fruits_contract.layout, .shards and SECTIONS in docs/pages/bucket.py differ in {', '.join(missing)}")
    parts: list[str] = []
    for heading, names in SECTIONS.items():
        rows = [(f"`{_key(functions[name])}`", _of_key(functions[name])) for name in names]
        if heading == "Models":
            rows.append((f"`{layout.CURRENT_MODELS}`", "which models are current; rewritten under If-Match"))
        if heading == "Code":
            rows.append(
                (f"`{layout.EMR_CERTIFICATES}`", "the certificates that encrypt traffic between nodes; written by `make deploy`")
            )
        if heading == "Contributions":
            rows.append((f"`{layout.RETENTION}`", "the oldest object of each prefix with photos, when it was last looked at"))
        parts += [f"## {heading}", table(("key", "what it is"), rows)]
        if heading == "Photos":
            index = ", ".join(f"`{name}` ({kind})" for name, kind in columns.SHARD_INDEX.items())
            parts.append(
                "A shard is a plain tar file, as WebDataset writes them; "
                f"one of `make pack` has up to {round(shards.SHARD_BYTES / 2**20)} MB. "
                f"Its index is Parquet with the columns {index}, and ETag, size and damage of the shard in the metadata "
                "([0031](decisions/0031-packed-drops.md))."
            )
    parts += ["## Tables, as they are read", "Delta Lake. [Why](decisions/0005-delta-tables-committed-by-publish.md)."]
    for name_of_table, (names_and_types, partitions) in columns.TABLES.items():
        by = ", ".join(f"`{name}`" for name in partitions)
        rows = [(f"`{name}`", f"`{kind}`") for name, kind in names_and_types.items()]
        parts += [f"### `{name_of_table}`", f"Partitioned by {by}.", table(("column", "type"), rows)]
    return page(
        "The bucket",
        "`plugins/fruits_contract/layout.py` and `shards.py` define every key of this page. A key that ends with `/` is a "
        "folder. Files below a "
        "folder are named by their writer: those of the tables by the stages (`part-*.parquet`) and by delta-rs, wheels by pip, "
        "logs by EMR or its emulator.",
        *parts,
    )


def _is_public_function(value: Any) -> bool:
    return (
        inspect.isfunction(value)
        and value.__module__ in (layout.__name__, shards.__name__)
        and not value.__name__.startswith("_")
    )


def _key(function: Callable[..., str]) -> str:
    return function(**{name: f"<{name}>" for name in inspect.signature(function).parameters})


def _of_key(function: Callable[..., str]) -> str:
    text = inspect.cleandoc(function.__doc__ or "").splitlines()[0].rstrip(".").replace(", ending with '/'", "")
    return re.sub(r"^Return (the key of |the key |the )?", "", text)
