"""Writes docs/parameters.md from the trigger forms, the run parameters, the settings and the Spark configuration."""

import json
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, get_args, get_origin

from docs.pages.text import code, numpy_fields, page, table
from fruits_airflow import settings
from fruits_airflow.emr import spark_conf
from fruits_contract import pipelines
from fruits_contract.pipeline import ParamSpec, Pipeline, RunParams

JSON_TYPES: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    tuple[str, ...]: "list of strings",
    dict[str, str]: "object of strings",
}
EXAMPLE_SETTINGS = {
    "bucket": "my-fruits",
    "region": "eu-north-1",
    "release": "41f80bf16277",
    "subnets": ["subnet-0a1b2c3d"],
    "tags": {"cost-centre": "research"},
}


def content() -> str:
    """Return docs/parameters.md."""
    described = dict(numpy_fields(settings.Settings))
    settings.Settings.from_json(json.dumps(EXAMPLE_SETTINGS))  # the example must be one that is accepted
    return page(
        "Parameters",
        "## Of a run",
        "The fields of each DAG's trigger form, all optional. `make run` accepts those of `fruits_features` as JSON in `PARAMS`.",
        *(part for pipeline in pipelines.PIPELINES for part in (f"### `{pipeline.dag_id}`", _trigger_form(pipeline))),
        "## Of a stage",
        "What the planning task passes to every stage of a run, as arguments of its EMR step: `--bucket=my-fruits --run=…`.",
        *(part for pipeline in pipelines.PIPELINES for part in (f"### Stages of `{pipeline.dag_id}`", _run_params(pipeline))),
        "## Of a deployment",
        f"The Airflow Variable `{settings.VARIABLE}`, a JSON object. `make run` and `make compose-up` write it; on AWS "
        "`make deploy` prints it: set it again whenever that changes.",
        table(
            ("field", "type", "default", "meaning"),
            ((f"`{item.name}`", _annotation(item), _default(item), described[item.name]) for item in fields(settings.Settings)),
        ),
        "```json\n" + json.dumps(EXAMPLE_SETTINGS, indent=1) + "\n```",
        "## Of Spark",
        "From `plugins/fruits_airflow/emr/spark_conf.py`. Every EMR step sets, by `--conf` of spark-submit:",
        _lines(spark_conf.STEP),
        "What a step cannot set is in the request for the cluster:",
        _lines(line for lines in spark_conf.CLUSTER.values() for line in lines),
        "Deliberately not set:",
        _lines(spark_conf.KEPT_DEFAULTS),
    )


def _trigger_form(pipeline: Pipeline) -> str:
    rows = ((f"`{spec.name}`", _type(spec), code(spec.default), _bounds(spec), spec.description) for spec in pipeline.trigger)
    return table(("name", "type", "default", "bounds", "meaning"), rows)


def _run_params(pipeline: Pipeline) -> str:
    meaning = dict(numpy_fields(RunParams)) | dict(numpy_fields(pipeline.run_params))
    rows = ((f"`--{item.name.replace('_', '-')}`", _annotation(item), meaning[item.name]) for item in fields(pipeline.run_params))
    return table(("argument", "type", "meaning"), rows)


def _lines(lines: Iterable[Any]) -> str:
    rows = ((f"`{line.name}`", _value(line.value), line.reason) for line in lines)
    return table(("property", "value", "why"), rows)


def _value(value: str) -> str:
    """Format a value as code, and a remark as text."""
    return value if " " in value or "'" in value else f"`{value}`"


def _type(spec: ParamSpec) -> str:
    kinds = spec.schema["type"]
    return kinds if isinstance(kinds, str) else next(kind for kind in kinds if kind != "null")


def _bounds(spec: ParamSpec) -> str:
    schema = spec.schema
    texts: dict[str, Callable[[Any], str]] = {
        "enum": lambda value: "one of " + ", ".join(f"`{item}`" for item in value),
        "minimum": lambda value: f"at least {value}",
        "exclusiveMinimum": lambda value: f"more than {value}",
        "maximum": lambda value: f"at most {value}",
        "pattern": lambda value: f"`{value}`",
    }
    return ", ".join(describe(schema[name]) for name, describe in texts.items() if name in schema)


def _annotation(item: "Field[Any]") -> str:
    if get_origin(item.type) is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(item.type))
    return JSON_TYPES[item.type]


def _default(item: "Field[Any]") -> str:
    if item.default is not MISSING:
        return code(item.default)
    return code(item.default_factory()) if item.default_factory is not MISSING else "must be given"
