"""The run parameters of `fruits_features` are within their bounds, and agree with the trigger form."""

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_contract import layout
from fruits_contract.features_pipeline import ENGINES, FEATURES_PIPELINE, FeaturesRunParams, daily_run_of, next_daily_drop
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
    assert FeaturesRunParams.from_argv(params.to_argv()) == params


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("variance", 0.0, r"variance is 0\.0; expected more than 0"),
        ("components", 1281, r"components is 1281; expected at most 1280"),
        ("components", -1, r"components is -1; expected at least 1"),
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
    [("variance", 1.0), ("components", 0), ("components", 1280), ("max_reject_ratio", 0.0), ("max_reject_ratio", 1.0)],
)
def test_the_bounds_themselves_are_accepted(name: str, value: float) -> None:
    assert asdict(FeaturesRunParams(**{**VALID, name: value}))[name] == value


@pytest.mark.parametrize("spec", FEATURES_PIPELINE.trigger, ids=lambda spec: spec.name)
def test_every_default_is_within_its_own_bounds(spec: ParamSpec) -> None:
    spec.check(spec.default)
    assert spec.description.endswith(".")


@pytest.mark.parametrize("name", ["variance", "max_reject_ratio", "engine"])
def test_a_run_parameter_has_the_default_of_the_trigger_form(name: str) -> None:
    defaults = {item.name: item.default for item in fields(FeaturesRunParams)}
    assert defaults[name] == FEATURES_PIPELINE.resolve({})[name]


@pytest.mark.parametrize(
    ("now", "drop"),
    [
        ("2026-11-22T02:59:59+00:00", "2026-11-22"),
        ("2026-11-22T03:00:00+00:00", "2026-11-23"),
        ("2026-11-22T04:30:00+05:00", "2026-11-22"),
        ("2026-12-31T23:00:00+00:00", "2027-01-01"),
    ],
)
def test_the_next_daily_drop_is_that_of_the_next_run(now: str, drop: str) -> None:
    assert next_daily_drop(datetime.fromisoformat(now)) == drop


def test_a_daily_run_begins_at_its_hour_in_utc() -> None:
    assert daily_run_of("2026-11-22") == datetime(2026, 11, 22, 3, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not match format"):
        daily_run_of("first")
