"""Commands that need no services."""

from pathlib import Path

import pytest

from local.cli import FAILED, OK, main


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))


def test_synthetic_photos_are_written_into_a_folder_per_variety(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["photos", str(tmp_path / "new" / "monday")]) == OK
    assert len(list((tmp_path / "new" / "monday").glob("Synthetic */*_100.jpg"))) == 600
    assert f"600 synthetic photos are in {tmp_path / 'new' / 'monday'}" in capsys.readouterr().out


def test_synthetic_photos_are_not_mixed_with_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.jpg").touch()
    assert main(["photos", str(tmp_path)]) == FAILED
    assert "is not empty" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.jpg"]


def test_the_status_before_the_first_start_names_the_command_that_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == FAILED
    assert "start them with `make up`" in capsys.readouterr().err
