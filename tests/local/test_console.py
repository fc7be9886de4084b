"""Work that takes long is seen to go on, on a terminal and in a log."""

import io
import threading

import pytest
from rich.console import Console

from local import console
from local.console import say, working

LIMIT_S = 20


class Lines(io.StringIO):
    """What is printed; `is_written` is set at the third line."""

    def __init__(self) -> None:
        super().__init__()
        self.is_written = threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        if self.getvalue().count("\n") >= 3:
            self.is_written.set()
        return count


def test_without_a_terminal_a_line_comes_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Lines()
    monkeypatch.setattr(console, "_STDERR", Console(file=out, width=200))
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.01)
    with working("Uploading photos") as update:
        update(1200, 4320)
        assert out.is_written.wait(LIMIT_S)
    assert out.getvalue().splitlines()[2] == "Uploading photos: 1,200 of 4,320, 0 s"


def test_short_work_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(console, "_STDERR", Console(file=out, width=200))
    with working("Starting s3"):
        pass
    assert out.getvalue() == ""


def test_a_terminal_shows_it_in_place_and_lines_above(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(console, "_STDERR", Console(file=out, width=100, force_terminal=True))
    with working("Uploading photos [1]") as update:
        update(1200, 4320)
        say("one line")
    assert "Uploading photos [1]" in out.getvalue()
    assert "1200/4320" in out.getvalue()
    assert "one line" in out.getvalue()
