"""What is started for a real YARN, in which order, and with which settings."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from local.stack import environment, programs, readiness, services, spark, supervision, yarn
from local.stack.state import Places
from tests.local.stack.yarn_stack import make_places, make_record, write_configs


def test_the_node_manager_stops_before_the_resource_manager(tmp_path: Path) -> None:
    places = make_places(tmp_path / "s")
    groups = list(dict.fromkeys(program.group for program in programs.table(places, make_record("yarn"))))
    assert groups == ["s3", "resource-manager", "node-manager", "emr", "airflow"]


def test_there_is_no_yarn_unless_asked_for(tmp_path: Path) -> None:
    places, record = make_places(tmp_path / "s"), make_record("local")
    assert not {program.name for program in programs.table(places, record)} & set(yarn.CLASSES)
    assert not set(record.ports) & set(yarn.PREFERRED_PORTS)


def test_the_configuration_names_loopback_and_no_key(tmp_path: Path) -> None:
    places, record = make_places(tmp_path / "s"), make_record("yarn")
    write_configs(places, record)
    written = {path.name: path.read_text() for path in places.spark_conf.iterdir()}
    properties = {
        each.findtext("name", ""): each.findtext("value", "")
        for each in ElementTree.fromstring(written["yarn-site.xml"]).iter("property")
    }
    addresses = {value for name, value in properties.items() if name.endswith((".address", "host", "hostname"))}
    assert addresses == {"127.0.0.1"} | {f"127.0.0.1:{record.ports[name]}" for name in yarn.PREFERRED_PORTS}
    inherited = properties["yarn.nodemanager.env-whitelist"].split(",")
    assert {"AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "JAVA_HOME", environment.MARK} <= set(inherited)
    assert "PYTHONPATH" not in inherited
    assert not any("@" in text or record.secrets.s3_secret_key in text for text in written.values())


def test_the_configuration_of_yarn_goes_with_it(tmp_path: Path) -> None:
    places = make_places(tmp_path / "s")
    write_configs(places, make_record("yarn"))
    assert spark_defaults(places)["spark.master"] == "yarn"
    write_configs(places, make_record("local"))
    assert "spark.master" not in spark_defaults(places)
    assert {path.name for path in places.spark_conf.iterdir()} == set(spark.CONFIG_FILES)


def spark_defaults(places: Places) -> dict[str, str]:
    lines = (places.spark_conf / "spark-defaults.conf").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def test_a_path_that_yarn_cannot_quote_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_SPARK", "yarn")
    places = Places(Places.default().cache, tmp_path / "state with blank")
    with pytest.raises(ValueError, match=r"state with blank cannot be used with SPARK=yarn.*\$FRUITS_STATE"):
        services.up(places)
    assert supervision.marked(places) == []


@pytest.mark.parametrize(("word", "master"), [("", None), ("local", "local"), ("yarn", "yarn")])
def test_the_setting(word: str, master: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_SPARK", word)
    assert spark.asked_master() == master


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRUITS_SPARK", "Yarn")
    with pytest.raises(ValueError, match="SPARK is 'Yarn'; expected local or yarn"):
        services.up(Places(tmp_path / "c", tmp_path / "s"))


@pytest.mark.parametrize(
    ("up", "asked", "is_fine"), [("local", "", 1), ("yarn", "", 1), ("yarn", "yarn", 1), ("local", "yarn", 0)]
)
def test_services_that_are_up_are_not_silently_of_another_kind(
    up: str, asked: str, is_fine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = make_places(tmp_path / "s")
    record = make_record(up)
    record.write(places)
    monkeypatch.setattr(supervision, "is_whole", lambda places: True)
    monkeypatch.setattr(readiness, "wait", lambda places, record: None)
    monkeypatch.setenv("FRUITS_SPARK", asked)
    if is_fine:
        assert services.up(places).record == record
    else:
        with pytest.raises(services.OtherMaster, match="up with SPARK=local, asked for is SPARK=yarn: `make down` first"):
            services.up(places)
