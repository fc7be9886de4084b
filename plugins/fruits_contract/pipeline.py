"""What a pipeline is: a DAG's trigger form, its Spark stages, and the parameters that each stage receives as argv."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from fruits_contract import layout


class InvalidParam(ValueError):
    """A parameter outside its bounds; the message names it, the value found and the values expected."""


@dataclass(frozen=True)
class ParamSpec:
    """One field of a trigger form, in JSON schema terms (`schema` is passed to Airflow's Param as it is).

    Parameters
    ----------
    section
        Heading under which the form shows the field, closed at first; empty: among the fields that are always open.
    """

    name: str
    default: Any
    description: str
    schema: dict[str, Any] = field(default_factory=dict)
    section: str = ""

    def form_field(self) -> dict[str, Any]:
        """Return the arguments of Airflow's Param, other than the default."""
        section = {"section": self.section} if self.section else {}
        return {"description": self.description, **section, **self.schema}

    def check(self, value: Any) -> None:
        """Raise `InvalidParam` when `value` is outside the bounds of `schema`; None is checked by Airflow's type only."""
        if value is None:
            return
        schema = self.schema
        expected = []
        if "enum" in schema and value not in schema["enum"]:
            expected.append(f"one of {', '.join(schema['enum'])}")
        # "not >=" rather than "<": a NaN is within no bounds
        if "minimum" in schema and not value >= schema["minimum"]:
            expected.append(f"at least {schema['minimum']}")
        if "exclusiveMinimum" in schema and not value > schema["exclusiveMinimum"]:
            expected.append(f"more than {schema['exclusiveMinimum']}")
        if "maximum" in schema and not value <= schema["maximum"]:
            expected.append(f"at most {schema['maximum']}")
        if expected:
            raise InvalidParam(f"{self.name} is {value!r}; expected {' and '.join(expected)}")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One Spark app: its name is the script, EMR step, Airflow task, manifest and heading; the rest describes it.

    Parameters
    ----------
    only_in_mode
        The stage runs only in runs of this mode and is skipped in others; empty: it runs always.
    """

    name: str
    does: str
    reads: str
    writes: str
    only_in_mode: str = ""

    @property
    def display_name(self) -> str:
        """The name as Airflow's UI shows it, for example "Fit PCA"."""
        return self.name.replace("_", " ").capitalize().replace("pca", "PCA")


@dataclass(frozen=True, kw_only=True)
class RunParams:
    """What every stage of a planned run receives, whatever the pipeline; a pipeline adds its own fields.

    Parameters
    ----------
    bucket
        The project's bucket.
    run
        Name of the run below runs/ (`layout.run_name`).
    release
        Release of the code below code/.
    mode
        One of the pipeline's modes; `Stage.only_in_mode` refers to it.
    """

    bucket: str
    run: str
    release: str
    mode: str

    def __post_init__(self) -> None:
        for name in ("run", "release"):
            layout.check_name(getattr(self, name), what=name)

    def to_argv(self) -> list[str]:
        """Return the parameters as command line arguments, the form in which an EMR step carries them."""
        # As one argument: argparse takes a value such as -1e-05 for a flag.
        return [f"{_flag(name)}={value}" for name, value in asdict(self).items()]

    @classmethod
    def from_argv(cls, argv: Sequence[str]) -> Self:
        """Read `to_argv` back; on an unknown or missing argument argparse prints what is expected and exits with 2."""
        parser = argparse.ArgumentParser(allow_abbrev=False, description="One stage of a run; its arguments come from the DAG.")
        for item in fields(cls):
            kind = item.type if item.type in (int, float) else str
            parser.add_argument(_flag(item.name), type=kind, required=True)
        return cls(**vars(parser.parse_args(argv)))


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """One DAG: the fields of its trigger form, its stages in the order in which they run, and what the stages receive.

    Parameters
    ----------
    plan_task
        Id of the task that plans a run, and whose result the later tasks read.
    """

    dag_id: str
    plan_task: str
    trigger: tuple[ParamSpec, ...]
    stages: tuple[Stage, ...]
    run_params: type[RunParams]

    def resolve(self, requested: dict[str, Any]) -> dict[str, Any]:
        """Return the requested trigger parameters with defaults filled in.

        Raises
        ------
        InvalidParam
            For an unknown name or a value out of bounds.
        """
        specs = {spec.name: spec for spec in self.trigger}
        unknown = sorted(set(requested) - set(specs))
        if unknown:
            raise InvalidParam(f"unknown parameter {', '.join(unknown)}; expected {', '.join(specs)}")
        for name, value in requested.items():
            specs[name].check(value)
        return {name: requested.get(name, spec.default) for name, spec in specs.items()}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
