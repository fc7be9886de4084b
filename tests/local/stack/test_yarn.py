"""What is started for a real YARN, in which order, and with which settings."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from local.stack import StackError, programs, readiness, services, spark, yarn
from local.stack.stack import MARK, Stack
from local.stack.supervision import Supervisor
from tests.local.stack.yarn_stack import make_stack, write_configs


def test_the_node_manager_stops_before_the_resource_manager(tmp_path: Path) -> None:
    groups = list(dict.fromkeys(program.group for program in programs.table(make_stack(tmp_path / "s", "yarn"))))
    assert groups == ["s3", "resource-manager", "node-manager", "spark-history", "emr", "airflow"]


def test_there_is_no_yarn_unless_requested(tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "s", "local")
    assert not {program.name for program in programs.table(stack)} & set(yarn.CLASSES)
    assert not set(stack.ports) & set(yarn.PREFERRED_PORTS)


def test_the_configuration_names_loopback_and_no_key(tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "s", "yarn")
    write_configs(stack)
    written = {path.name: path.read_text() for path in stack.spark_conf.iterdir()}
    properties = {
        each.findtext("name", ""): each.findtext("value", "")
        for each in ElementTree.fromstring(written["yarn-site.xml"]).iter("property")
    }
    addresses = {value for name, value in properties.items() if name.endswith((".address", "host", "hostname"))}
    assert addresses == {"127.0.0.1"} | {f"127.0.0.1:{stack.ports[name]}" for name in yarn.PREFERRED_PORTS}
    inherited = properties["yarn.nodemanager.env-whitelist"].split(",")
    assert {"AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "JAVA_HOME", MARK} <= set(inherited)
    assert "PYTHONPATH" not in inherited
    assert not any("@" in text or stack.secrets.s3_secret_key in text for text in written.values())


def test_the_configuration_of_yarn_goes_with_it(tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "s", "yarn")
    write_configs(stack)
    assert spark_defaults(stack)["spark.master"] == "yarn"
    write_configs(make_stack(tmp_path / "s", "local"))
    assert spark_defaults(stack)["spark.master"] == "local[*,4]"
    assert {path.name for path in stack.spark_conf.iterdir()} == set(spark.CONFIG_FILES)


def spark_defaults(stack: Stack) -> dict[str, str]:
    lines = (stack.spark_conf / "spark-defaults.conf").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def test_a_path_that_yarn_cannot_quote_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_SPARK", "yarn")
    stack = Stack.load(tmp_path / "state with blank")
    with pytest.raises(ValueError, match=r"state with blank cannot be used with SPARK=yarn.*\$FRUITS_STATE"):
        services.up(stack)
    assert Supervisor(stack).processes() == []


@pytest.mark.parametrize(("word", "master"), [("", None), ("local", "local"), ("yarn", "yarn")])
def test_the_setting(word: str, master: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_SPARK", word)
    assert spark.requested_master() == master


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRUITS_SPARK", "Yarn")
    with pytest.raises(ValueError, match="SPARK is 'Yarn'; expected local or yarn"):
        services.up(Stack.load(tmp_path / "s"))


@pytest.mark.parametrize(
    ("up", "requested", "is_fine"), [("local", "", 1), ("yarn", "", 1), ("yarn", "yarn", 1), ("local", "yarn", 0)]
)
def test_services_that_are_up_are_not_silently_of_another_kind(
    up: str, requested: str, is_fine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make_stack(tmp_path / "s", up)
    stack.save()
    monkeypatch.setattr(Supervisor, "is_complete", lambda supervisor: True)
    monkeypatch.setattr(readiness, "wait", lambda stack: None)
    monkeypatch.setenv("FRUITS_SPARK", requested)
    if is_fine:
        assert services.up(stack) == stack
    else:
        with pytest.raises(StackError, match=r"up with SPARK=local, but SPARK=yarn was requested\. Run `make down` first"):
            services.up(stack)


@pytest.mark.parametrize(
    ("is_up", "requested", "master"),
    [(True, "", "yarn"), (True, "local", "local"), (False, "", "local"), (False, "yarn", "yarn")],
)
def test_services_with_a_crashed_program_restart_on_the_same_master(
    is_up: bool, requested: str, master: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stack(tmp_path / "s", "yarn").save()
    monkeypatch.setattr(Supervisor, "is_up", lambda supervisor: is_up)
    monkeypatch.setattr(Supervisor, "is_complete", lambda supervisor: False)
    monkeypatch.setattr(services, "_start", lambda stack: stack)
    monkeypatch.setenv("FRUITS_SPARK", requested)
    assert services.up(Stack.load(tmp_path / "s")).master == master
