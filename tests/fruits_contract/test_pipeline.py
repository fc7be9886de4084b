"""Trigger parameters are checked with messages that name the bounds, and run parameters survive the command line."""

import math
from dataclasses import dataclass, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_contract import layout
from fruits_contract.pipeline import InvalidParam, ParamSpec, Pipeline, RunParams, Stage

COLOUR = ParamSpec("colour", "red", "Colour.", {"type": "string", "enum": ["red", "green"]})
SHARE = ParamSpec("share", 0.5, "Share.", {"type": "number", "exclusiveMinimum": 0, "maximum": 1})
LIMIT = ParamSpec("limit", None, "Limit.", {"type": ["null", "integer"], "minimum": 1})


@dataclass(frozen=True, kw_only=True)
class SortParams(RunParams):
    """Run parameters of every type that the command line carries."""

    drop_name: str = ""
    limit: int = 3
    share: float = 0.5


SORT = Stage(name="sort", does="Sorts.", reads="raw/", writes="tables/")
PIPELINE = Pipeline(dag_id="sort_fruits", plan_task="plan", trigger=(COLOUR, SHARE, LIMIT), stages=(SORT,), run_params=SortParams)
names = st.from_regex(layout.NAME, fullmatch=True)
sort_params = st.builds(
    SortParams,
    bucket=names,
    run=names,
    release=names,
    mode=st.text(),
    drop_name=st.text(),
    limit=st.integers(),
    share=st.floats(allow_nan=False),
)
PARAMS = SortParams(bucket="b", run="r", release="v1", mode="auto")


# ---- the trigger form


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        (COLOUR, "blue", "colour is 'blue'; expected one of red, green"),
        (SHARE, 0.0, r"share is 0\.0; expected more than 0"),
        (SHARE, 1.01, r"share is 1\.01; expected at most 1"),
        (SHARE, math.nan, "share is nan; expected more than 0 and at most 1"),
        (LIMIT, 0, "limit is 0; expected at least 1"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_the_bounds(spec: ParamSpec, value: object, message: str) -> None:
    with pytest.raises(InvalidParam, match=message):
        spec.check(value)
    with pytest.raises(InvalidParam, match=message):
        PIPELINE.resolve({spec.name: value})


@pytest.mark.parametrize(("spec", "value"), [(COLOUR, "green"), (SHARE, 1), (SHARE, 5e-324), (LIMIT, 1), (LIMIT, None)])
def test_the_bounds_themselves_are_accepted(spec: ParamSpec, value: object) -> None:
    assert PIPELINE.resolve({spec.name: value})[spec.name] == value


def test_requested_values_replace_defaults() -> None:
    assert PIPELINE.resolve({}) == {"colour": "red", "share": 0.5, "limit": None}
    assert PIPELINE.resolve({"limit": 7}) == {"colour": "red", "share": 0.5, "limit": 7}


def test_unknown_names_are_reported_with_the_known_ones() -> None:
    with pytest.raises(InvalidParam, match="unknown parameter shape, size; expected colour, share, limit"):
        PIPELINE.resolve({"size": 1, "limit": 2, "shape": 3})


# ---- run parameters


@pytest.mark.parametrize("name", ["run", "release"])
def test_run_and_release_become_parts_of_keys(name: str) -> None:
    with pytest.raises(layout.InvalidName, match=f"{name} 'a/b' cannot be used"):
        SortParams(**{"bucket": "b", "run": "r", "release": "v1", "mode": "auto", name: "a/b"})


@given(sort_params)
def test_argv_brings_back_the_same_parameters(params: SortParams) -> None:
    argv = params.to_argv()
    assert all(isinstance(argument, str) for argument in argv)
    assert SortParams.from_argv(argv) == params


def exit_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """Return the exit code and the message of argparse."""
    with pytest.raises(SystemExit) as exit_info:
        SortParams.from_argv(argv)
    return exit_info.value.code, capsys.readouterr().err


@pytest.mark.parametrize("name", [item.name for item in fields(SortParams)])
def test_a_missing_argument_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    flag = f"--{name.replace('_', '-')}"
    argv = [argument for argument in PARAMS.to_argv() if not argument.startswith(f"{flag}=")]
    code, message = exit_of(argv, capsys)
    assert code == 2
    assert f"required: {flag}" in message


@pytest.mark.parametrize("flag", ["--colour", "--lim"])
def test_an_unknown_or_shortened_argument_is_named(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = exit_of([*PARAMS.to_argv(), f"{flag}=1"], capsys)
    assert code == 2
    assert f"unrecognized arguments: {flag}=1" in message
