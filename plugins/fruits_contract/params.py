"""The parameters of a run: what a person may ask for, and what the stages are told.

`TRIGGER` describes the trigger form, once for Airflow, the checks and the docs. `RunParams` is what a planned run passes to every
stage as argv. It must not know where the values come from.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from fruits_contract import layout

ENGINES = ("auto", "litert", "openvino", "openvino-bfloat16", "tensorflow")
MODES = ("auto", "fit", "transform")


class InvalidParam(ValueError):
    """A parameter outside its bounds; the message names it, what was found and what is expected."""


@dataclass(frozen=True)
class ParamSpec:
    """One field of the trigger form, in JSON schema terms (`schema` is passed to Airflow's Param as it is)."""

    name: str
    default: Any
    description: str
    schema: dict[str, Any] = field(default_factory=dict)

    def check(self, value: Any) -> None:
        """Raise `InvalidParam` when `value` is outside the bounds of `schema`; None is checked by Airflow's type only."""
        if value is None:
            return
        schema = self.schema
        problems = [
            "enum" in schema and value not in schema["enum"] and f"one of {', '.join(map(str, schema['enum']))}",
            # "not >=" rather than "<": a NaN is within no bounds
            "minimum" in schema and not value >= schema["minimum"] and f"at least {schema['minimum']}",
            "exclusiveMinimum" in schema and not value > schema["exclusiveMinimum"] and f"more than {schema['exclusiveMinimum']}",
            "maximum" in schema and not value <= schema["maximum"] and f"at most {schema['maximum']}",
        ]
        expected = [problem for problem in problems if problem]
        if expected:
            raise InvalidParam(f"{self.name} is {value!r}; expected {' and '.join(expected)}")


_NAME_SCHEMA = {"type": ["null", "string"], "pattern": f"^{layout.NAME.pattern}$"}

TRIGGER = (
    ParamSpec(
        "drop",
        None,
        "Name of the drop: the folder below raw/ with one folder per variety and the object _READY. "
        "Empty: the day of the run, e.g. 2026-11-22.",
        _NAME_SCHEMA,
    ),
    ParamSpec(
        "mode",
        "auto",
        "auto: fit a PCA when there is none for this extractor yet, else transform with the current one. "
        "fit: fit a new PCA on all retained photos, and project them all again. transform: never fit.",
        {"type": "string", "enum": list(MODES)},
    ),
    ParamSpec(
        "variance",
        0.70,
        "Share of the variance that the PCA must explain: the smallest number of components that reaches it is kept.",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    ),
    ParamSpec(
        "components",
        None,
        "Fixed number of components instead of a share of the variance. Empty: by variance.",
        {"type": ["null", "integer"], "minimum": 1, "maximum": 1280},
    ),
    ParamSpec(
        "max_reject_ratio",
        0.05,
        "Largest share of unreadable photos in the batch; above it the run is red and publishes nothing.",
        {"type": "number", "minimum": 0, "maximum": 1},
    ),
    ParamSpec(
        "engine",
        "litert",
        "What runs the network on the nodes. auto: the fastest that gives the reference's features on photos of the batch. "
        "openvino-bfloat16 wants a CPU that computes in it, tensorflow a release made with it.",
        {"type": "string", "enum": list(ENGINES)},
    ),
    ParamSpec(
        "release",
        None,
        "Release of the code below code/ that the run is pinned to. Empty: the deployment's current release.",
        _NAME_SCHEMA,
    ),
)

_SPECS = {spec.name: spec for spec in TRIGGER}


@dataclass(frozen=True, kw_only=True)
class RunParams:
    """What every stage of a planned run is told.

    Parameters
    ----------
    bucket, drop, release
        Where the photos and the code are.
    run
        Name of the run below runs/ (`layout.run_name`).
    mode
        fit: `fit_pca` runs, and all retained photos are projected; transform: those of this run only.
    extractor
        sha256 of the feature extractor's file.
    pca
        Model id of the PCA to transform with; in fit mode the id that the fit will save under.
    components
        Fixed number of components, or 0 to let `variance` decide.
    """

    bucket: str
    run: str
    drop: str
    release: str
    extractor: str
    pca: str
    mode: Literal["fit", "transform"] = "transform"
    variance: float = 0.70
    components: int = 0
    max_reject_ratio: float = 0.05
    engine: str = "litert"

    def __post_init__(self) -> None:
        for name in ("run", "drop", "release", "pca"):
            layout.check_name(getattr(self, name), what=name)
        if self.mode not in ("fit", "transform"):
            raise InvalidParam(f"mode is {self.mode!r}; a planned run either fits or transforms")
        if len(self.extractor) != 64 or set(self.extractor) - set("0123456789abcdef"):
            raise InvalidParam(f"extractor is {self.extractor!r}; expected the 64 hex digits of a sha256")
        for name in ("variance", "max_reject_ratio", "engine"):
            _SPECS[name].check(getattr(self, name))
        _SPECS["components"].check(self.components or None)

    def to_argv(self) -> list[str]:
        """Return the parameters as command line words, the form in which an EMR step carries them."""
        return [word for name, value in asdict(self).items() for word in (f"--{name.replace('_', '-')}", str(value))]

    @classmethod
    def from_argv(cls, argv: Sequence[str]) -> "RunParams":
        """Read the words of `to_argv` back; on an unknown or missing word argparse prints what is expected and exits with 2."""
        parser = argparse.ArgumentParser(allow_abbrev=False, description="One stage of a run; the words are made by the DAG.")
        for item in fields(cls):
            kind = {"variance": float, "components": int, "max_reject_ratio": float}.get(item.name, str)
            parser.add_argument(f"--{item.name.replace('_', '-')}", type=kind, required=True)
        return cls(**vars(parser.parse_args(argv)))


def resolve(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked with defaults filled in; raise `InvalidParam` for an unknown name or a value out of bounds."""
    unknown = sorted(set(asked) - set(_SPECS))
    if unknown:
        raise InvalidParam(f"unknown parameter {', '.join(unknown)}; expected {', '.join(_SPECS)}")
    for name, value in asked.items():
        _SPECS[name].check(value)
    return {name: asked.get(name, spec.default) for name, spec in _SPECS.items()}
