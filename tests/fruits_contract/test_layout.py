"""Keys are built so that Spark, EMR and Hive read back what was meant."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fruits_contract import layout

# What Airflow itself accepts as a run id (core.allowed_run_id_pattern).
run_ids = st.from_regex(r"[A-Za-z0-9_.~:+-]{1,250}", fullmatch=True)


@pytest.mark.parametrize(
    "run_id", ["scheduled__2026-11-22T03:00:00+00:00", "manual__2026-11-22T11:15:07.123456+00:00_a1B2c3", "a:b", "a+b", "~"]
)
def test_airflow_ids_become_names_that_hadoop_accepts(run_id: str) -> None:
    name = layout.run_name(run_id)
    assert not set(name) & set(":+~/ ")
    assert name != run_id


def test_the_name_begins_like_the_run_id() -> None:
    assert layout.run_name("scheduled__2026-11-22T03:00:00+00:00").startswith("scheduled__2026-11-22T03-00-00-00-00-")


@pytest.mark.parametrize("run_id", ["first", "manual__2026-11-22", "a.b-c_d", "x" * 100])
def test_a_plain_id_is_unchanged(run_id: str) -> None:
    assert layout.run_name(run_id) == run_id


@given(run_ids)
def test_every_airflow_id_gives_a_valid_name(run_id: str) -> None:
    assert layout.check_name(layout.run_name(run_id), what="run")


@given(run_ids, run_ids)
def test_two_different_ids_never_share_a_name(one: str, other: str) -> None:
    assume(one != other)
    assert layout.run_name(one) != layout.run_name(other)


@given(st.from_regex(r"[a-z]{1,3}[:+~][a-z]{1,3}", fullmatch=True))
def test_an_id_that_looks_like_the_name_of_another_does_not_take_its_folder(run_id: str) -> None:
    name = layout.run_name(run_id)
    for other in (name, run_id.replace(":", "-"), run_id.replace("+", ":"), f"{run_id}-", f".{run_id}"):
        assert other == run_id or layout.run_name(other) != name


def test_ids_that_differ_after_the_hundredth_letter_differ() -> None:
    assert layout.run_name("x" * 100 + "a") != layout.run_name("x" * 100 + "b")


@pytest.mark.parametrize("value", ["a", "2026-11-22", "A.b_c-d", "9" * 128])
def test_names_of_letters_digits_dots_dashes_are_returned(value: str) -> None:
    assert layout.check_name(value, what="drop") == value


@pytest.mark.parametrize("value", ["", "a/b", "../x", ".hidden", "-x", "a b", "a:b", "é", "a\n", "9" * 129, "drop=1"])
def test_other_names_are_refused_with_the_allowed_characters(value: str) -> None:
    expected = re.escape(f"drop {value!r} cannot be used: expected 1 to 128 letters, digits, '.', '_' or '-'")
    with pytest.raises(layout.InvalidName, match=expected):
        layout.check_name(value, what="drop")


@pytest.mark.parametrize(
    ("key", "variety"),
    [
        ("raw/first/Apple Red 1/0_100.jpg", "Apple Red 1"),
        ("raw/first/Training/Apple Red 1/0_100.jpg", "Apple Red 1"),
        ("raw/first/0_100.jpg", ""),
        ("raw/first/_READY", ""),
        ("raw/first/Crème & Co/1.jpg", "Crème & Co"),
    ],
)
def test_the_variety_is_the_folder_a_photo_lies_in(key: str, variety: str) -> None:
    assert layout.variety_of(key) == variety


@given(st.text(st.characters(exclude_characters="/"), min_size=1), st.text(st.characters(exclude_characters="/"), min_size=1))
def test_the_variety_of_a_photos_key_is_the_one_it_was_built_with(variety: str, image: str) -> None:
    assert layout.variety_of(layout.raw_image("first", variety, image)) == variety


names = st.from_regex(layout.NAME, fullmatch=True)


@given(names, names, names)
def test_partition_values_are_those_the_folder_was_built_with(pca: str, drop: str, run: str) -> None:
    file = "part-00000-c000.snappy.parquet"
    assert layout.partition_values(f"{layout.features_part(drop, run)}{file}") == {"drop": drop, "run": run}
    assert layout.partition_values(f"{layout.rejects_part(drop, run)}{file}") == {"drop": drop, "run": run}
    assert layout.partition_values(f"{layout.projected_part(pca, drop, run)}{file}") == {"pca": pca, "drop": drop, "run": run}


def test_a_key_without_partitions_names_none() -> None:
    assert layout.partition_values(layout.batch("first")) == {}


def test_prefixes_are_folders_and_hold_what_belongs_to_them() -> None:
    assert layout.ready("first").startswith(layout.raw_prefix("first"))
    assert layout.manifest("r1", "featurize").startswith(layout.run_prefix("r1"))
    assert layout.wheels_prefix("v1").startswith(layout.release_prefix("v1"))
    for prefix in (
        layout.raw_prefix("d"),
        layout.run_prefix("r"),
        layout.release_prefix("v"),
        layout.projected_part("p", "d", "r"),
    ):
        assert prefix.endswith("/")


def test_a_key_becomes_the_address_that_spark_reads() -> None:
    assert layout.uri("bucket", layout.batch("r1")) == "s3://bucket/runs/r1/batch.parquet"


def test_the_log_of_a_table_is_told_from_its_data() -> None:
    assert layout.is_in_delta_log(layout.delta_log(layout.FEATURES_TABLE) + "00000000000000000000.json")
    assert not layout.is_in_delta_log(layout.features_part("first", "r1") + "part-0.parquet")
