"""A wrong setting is refused by name, before it costs money."""

import json
from typing import Any

import pytest
from airflow.sdk import Variable

from fruits_airflow.settings import InvalidSettings, Settings
from fruits_contract.layout import InvalidName

LEAST: dict[str, Any] = {"bucket": "photos", "region": "eu-north-1", "release": "v1"}


def read(**fields: Any) -> Settings:
    return Settings.from_json(json.dumps(LEAST | fields))


def test_bucket_region_and_release_are_enough() -> None:
    assert read() == Settings(bucket="photos", region="eu-north-1", release="v1")


def test_every_field_is_read() -> None:
    settings = read(subnets=["a", "b"], idle_timeout_s=60, tags={"team": "x"}, max_core_nodes=3)
    assert (settings.subnets, settings.idle_timeout_s, settings.tags) == (("a", "b"), 60, {"team": "x"})
    assert settings.max_core_nodes == 3


@pytest.mark.parametrize("region", ["us-east-1", "ap-south-1", "eu", "EU-north-1", "", "eu-west-2", "eu-central-2"])
def test_a_region_outside_the_eu_is_refused(region: str) -> None:
    with pytest.raises(InvalidSettings, match=f"region is '{region}'; expected a region in the EU"):
        read(region=region)


@pytest.mark.parametrize("missing", sorted(LEAST))
def test_a_missing_field_is_named(missing: str) -> None:
    with pytest.raises(InvalidSettings, match=f"Airflow Variable 'fruits' lacks {missing}; see docs/"):
        Settings.from_json(json.dumps({name: value for name, value in LEAST.items() if name != missing}))


def test_all_missing_fields_are_named_together() -> None:
    with pytest.raises(InvalidSettings, match="lacks bucket, region, release"):
        Settings.from_json("{}")


def test_unknown_fields_are_named_with_the_known_ones() -> None:
    with pytest.raises(
        InvalidSettings, match="unknown fields buckets, colour; known: bucket, budget_usd, deadline_s, deployment, emr_release, "
    ):
        read(colour="red", buckets=[])


def test_text_other_than_json_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="Airflow Variable 'fruits' is not JSON: Expecting"):
        Settings.from_json("bucket=photos")


@pytest.mark.parametrize("idle_timeout_s", [0, 59])
def test_an_idle_time_that_emr_refuses_is_refused(idle_timeout_s: int) -> None:
    with pytest.raises(InvalidSettings, match=f"idle_timeout_s is {idle_timeout_s}; EMR accepts 60 to"):
        read(idle_timeout_s=idle_timeout_s)


@pytest.mark.parametrize("name", ["poll_s", "wait_for_drop_s", "stage_limit_s", "deadline_s", "max_core_nodes"])
def test_less_than_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{name} is 0; expected at least 1"):
        read(**{name: 0})


@pytest.mark.parametrize("budget_usd", [0, -1.0])
def test_a_budget_that_allows_nothing_is_refused(budget_usd: float) -> None:
    with pytest.raises(InvalidSettings, match=f"budget_usd is {budget_usd}; expected more than 0"):
        read(budget_usd=budget_usd)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("poll_s", "30", "poll_s is '30'; expected an integer"),
        ("poll_s", True, "poll_s is True; expected an integer"),
        ("poll_s", 1.5, "poll_s is 1.5; expected an integer"),
        ("budget_usd", "5", "budget_usd is '5'; expected a number"),
        ("budget_usd", True, "budget_usd is True; expected a number"),
        ("subnets", "subnet-1", "subnets is 'subnet-1'; expected a list"),
        ("tags", [], r"tags is \[\]; expected an object"),
        ("bucket", None, "bucket is None; expected a string"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^{message}$"):
        read(**{name: value})


def test_a_budget_may_be_a_whole_number() -> None:
    assert read(budget_usd=3).budget_usd == 3


def test_some_of_the_security_groups_are_refused() -> None:
    with pytest.raises(InvalidSettings, match="expected all or none"):
        read(primary_security_group="sg-1")


def test_a_release_that_cannot_be_part_of_a_key_is_refused() -> None:
    with pytest.raises(InvalidName, match="release 'a/b' cannot be used"):
        read(release="a/b")


def test_settings_are_loaded_from_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"fruits": json.dumps(LEAST)}
    monkeypatch.setattr(Variable, "get", lambda key, default: known.get(key, default))
    assert Settings.load() == read()


def test_a_missing_variable_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Variable, "get", lambda key, default: default)
    with pytest.raises(InvalidSettings, match="there is no Airflow Variable 'fruits'; create it as docs/"):
        Settings.load()


def test_limits_that_outlast_the_dag_run_are_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"wait_for_drop_s and stage_limit_s .* 453600 s .* at most 216000"):
        read(stage_limit_s=24 * 3600)
