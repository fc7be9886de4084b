"""An action is repeated while the body runs, and its errors stay its own."""

import threading

import pytest
from obstore.exceptions import GenericError

from fruits.repeating import repeating

LIMIT_S = 20


def test_the_action_is_called_at_once_again_and_at_the_end() -> None:
    calls: list[str] = []
    third = threading.Event()

    def action() -> None:
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            third.set()

    with repeating(action, every_s=0.01):
        assert third.wait(LIMIT_S)
    assert len(calls) >= 4
    assert calls[-1] == threading.current_thread().name


def test_after_a_failure_it_is_not_called_again() -> None:
    calls: list[str] = []
    with pytest.raises(RuntimeError, match="no memory"), repeating(lambda: calls.append("x"), every_s=1000):
        raise RuntimeError("no memory")
    assert calls == ["x"]


def test_a_storage_that_does_not_answer_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def action() -> None:
        raise GenericError("S3 is gone")

    with repeating(action, every_s=1000):
        pass
    assert "progress is not reported: S3 is gone" in capsys.readouterr().err
