"""The command's refusals and exit codes."""

import boto3
import pytest

from infra import __main__ as command
from infra.deploy import Declined
from infra.stacks import DeploymentError


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # the command sets all three
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")


def run(monkeypatch: pytest.MonkeyPatch, *argv: str, name: str = "deploy") -> int:
    monkeypatch.setattr("sys.argv", ["infra", name, *argv])
    return command.main()


@pytest.mark.parametrize("name", ["deploy", "undeploy"])
@pytest.mark.parametrize(
    ("stack", "region", "message"),
    [
        ("fruits", "us-east-1", "REGION is 'us-east-1'; expected one in the EU"),
        ("fruits", "eu-west-2", "REGION is 'eu-west-2'"),
        ("fruits", "", "REGION is ''"),
        ("", "eu-north-1", "STACK is ''; expected lower-case letters"),
        ("Fruits", "eu-north-1", "STACK is 'Fruits'"),
        ("fru_its", "eu-north-1", "STACK is 'fru_its'"),
        ("1fruits", "eu-north-1", "STACK is '1fruits'"),
        ("f" * 21, "eu-north-1", "21 characters long"),
    ],
)
def test_a_wrong_region_or_name_is_refused_before_any_request(monkeypatch, capsys, name, stack, region, message) -> None:
    assert run(monkeypatch, "--stack", stack, "--region", region, "--yes", name=name) == 1
    assert message in capsys.readouterr().err


def test_overrides_need_a_value(monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit) as refused:
        run(monkeypatch, "--stack", "fruits", "--region", "eu-north-1", "--overrides", "MonthlyUsd")
    assert refused.value.code == 2
    assert "OVERRIDES has MonthlyUsd; expected NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (DeploymentError("the reason"), 1, "deploy: the reason"),
        (Declined("not changed"), 1, "not changed"),
        (KeyboardInterrupt(), 130, "interrupted. The stacks, as they are now:\n  fruits-storage: does not exist"),
    ],
)
def test_every_end_has_its_exit_code(monkeypatch, capsys, error, code, printed) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(command, "deploy_stacks", fail)
    monkeypatch.setattr("infra.stacks.Stack.status", lambda stack: "")
    assert run(monkeypatch, "--stack", "fruits", "--region", "eu-north-1") == code
    shown = capsys.readouterr()
    assert printed in shown.out + shown.err


def test_nobody_to_answer_is_a_no(monkeypatch, capsys) -> None:
    def end_of_file(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end_of_file)
    assert not command._ask("Make these changes?")
    assert "set YES=1 to confirm" in capsys.readouterr().out
