"""What a person may ask for is checked with words that help, and reaches a stage through argv unchanged."""

import math
from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_contract import layout
from fruits_contract.features_pipeline import ENGINES, FEATURES_PIPELINE, FeaturesRunParams
from fruits_contract.pipeline import InvalidParam, ParamSpec

names = st.from_regex(layout.NAME, fullmatch=True)
run_params = st.builds(
    FeaturesRunParams,
    bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True),
    run=names,
    drop=names,
    release=names,
    pca=names,
    extractor=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    mode=st.sampled_from(["fit", "transform"]),
    variance=st.floats(0, 1, exclude_min=True),
    components=st.integers(0, 1280),
    max_reject_ratio=st.floats(0, 1),
    engine=st.sampled_from(ENGINES),
)
VALID: dict[str, Any] = {"bucket": "b", "run": "r", "drop": "d", "release": "v1", "extractor": "0" * 64, "pca": "p"}


@given(run_params)
def test_argv_brings_back_the_same_parameters(params: FeaturesRunParams) -> None:
    argv = params.to_argv()
    assert all(isinstance(word, str) for word in argv)
    assert FeaturesRunParams.from_argv(argv) == params


@pytest.mark.parametrize("name", [item.name for item in fields(FeaturesRunParams)])
def test_argv_without_a_word_names_it_and_exits_with_2(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    flag = f"--{name.replace('_', '-')}"
    argv = FeaturesRunParams(**VALID).to_argv()
    place = argv.index(flag)
    with pytest.raises(SystemExit) as left:
        FeaturesRunParams.from_argv(argv[:place] + argv[place + 2 :])
    assert left.value.code == 2
    assert f"required: {flag}" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["--pcas", "--varian"])
def test_argv_with_an_unknown_or_shortened_word_exits_with_2(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        FeaturesRunParams.from_argv([*FeaturesRunParams(**VALID).to_argv(), word, "1"])
    assert left.value.code == 2
    assert f"unrecognized arguments: {word}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("variance", 0.0, r"variance is 0\.0; expected more than 0"),
        ("variance", 1.01, r"variance is 1\.01; expected at most 1"),
        ("variance", math.nan, r"variance is nan; expected more than 0"),
        ("components", 1281, r"components is 1281; expected at most 1280"),
        ("components", -1, r"components is -1; expected at least 1"),
        ("max_reject_ratio", -0.01, r"max_reject_ratio is -0\.01; expected at least 0"),
        ("max_reject_ratio", 1.5, r"max_reject_ratio is 1\.5; expected at most 1"),
        ("engine", "onnx", r"engine is 'onnx'; expected one of auto, litert"),
        ("mode", "auto", r"mode is 'auto'; a planned run either fits or transforms"),
        ("extractor", "0" * 63, "extractor is '0{63}'; expected the 64 hex digits of a sha256"),
        ("extractor", "A" * 64, "expected the 64 hex digits"),
        ("run", "manual__2026-11-22T11:00:00+00:00", r"run 'manual__.*' cannot be used: expected 1 to 128 letters"),
        ("drop", "a/b", "drop 'a/b' cannot be used"),
        ("release", "", "release '' cannot be used"),
        ("pca", ".x", r"pca '\.x' cannot be used"),
    ],
)
def test_values_out_of_bounds_are_refused_by_name(name: str, value: object, message: str) -> None:
    with pytest.raises((InvalidParam, layout.InvalidName), match=message):
        FeaturesRunParams(**{**VALID, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("variance", 1.0), ("variance", 5e-324), ("components", 0), ("components", 1280), ("max_reject_ratio", 0.0)],
)
def test_the_bounds_themselves_are_accepted(name: str, value: float) -> None:
    assert asdict(FeaturesRunParams(**{**VALID, name: value}))[name] == value


def test_nothing_asked_gives_every_default() -> None:
    assert FEATURES_PIPELINE.resolve({}) == {spec.name: spec.default for spec in FEATURES_PIPELINE.trigger}


def test_asked_values_replace_defaults() -> None:
    assert FEATURES_PIPELINE.resolve({"mode": "fit", "components": 12}) == {
        **FEATURES_PIPELINE.resolve({}),
        "mode": "fit",
        "components": 12,
    }


def test_an_asked_none_is_not_out_of_bounds() -> None:
    assert FEATURES_PIPELINE.resolve({"components": None})["components"] is None


def test_unknown_names_are_told_with_the_known_ones() -> None:
    with pytest.raises(InvalidParam, match="unknown parameter colour, shape; expected drop, mode, variance, components"):
        FEATURES_PIPELINE.resolve({"shape": 1, "mode": "fit", "colour": 2})


def test_a_value_out_of_bounds_is_refused_before_a_run_is_planned() -> None:
    with pytest.raises(InvalidParam, match=r"mode is 'refit'; expected one of auto, fit, transform"):
        FEATURES_PIPELINE.resolve({"mode": "refit"})


@pytest.mark.parametrize("spec", FEATURES_PIPELINE.trigger, ids=lambda spec: spec.name)
def test_every_default_is_within_its_own_bounds(spec: ParamSpec) -> None:
    spec.check(spec.default)
    assert spec.description.endswith(".")


def test_every_stage_parameter_that_a_person_may_ask_for_has_the_same_default() -> None:
    planned = {item.name: item.default for item in fields(FeaturesRunParams)}
    for spec in FEATURES_PIPELINE.trigger:
        if spec.name in ("variance", "max_reject_ratio", "engine"):
            assert planned[spec.name] == spec.default
