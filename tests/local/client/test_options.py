"""What can be checked without services is checked before any is started."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from local import REPO
from local.client import options


def parse(*argv: str) -> options.RunRequest:
    parser = argparse.ArgumentParser()
    options.add_to(parser)
    return options.request(parser.parse_args(argv))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    photo = tmp_path / "my fruits" / "Apple" / "1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"x")
    return tmp_path / "my fruits"


def test_the_drop_is_named_by_the_option_the_parameters_or_the_folder(photos: Path) -> None:
    assert parse("--images", str(photos)).drop == "my-fruits"
    assert parse("--images", str(photos), "--params", '{"drop": "second"}').drop == "second"
    assert parse("--images", str(photos), "--drop", "first", "--params", '{"drop": "second"}').drop == "first"
    assert parse() == options.RunRequest(options.SYNTHETIC, None, {})
    assert parse("--train").train


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--drop", "my drop"], "the drop's name 'my drop' cannot be used"),
        (["--params", "{mode: fit}"], "is not a JSON object of parameters"),
        (["--params", "1"], "is not a JSON object of parameters"),
        (["--params", '{"mode": "fast"}'], "mode is 'fast'; expected one of auto, fit, transform"),
        (["--params", '{"colour": 1}'], "unknown parameter"),
        (["--params", '{"variance": "x"}'], "is not a JSON object of parameters ('>'"),
        (["--params", '{"drop": "a/b"}'], "drop 'a/b' cannot be used"),
        (["--images", "/missing"], "/missing is not a folder"),
    ],
)
def test_a_wrong_option_is_wrong_usage(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        parse(*argv)
    assert exit_code.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("file", [None, "Apple/readme.txt", "Apple/1\t.jpg"])
def test_nothing_is_started_for_a_folder_that_cannot_be_uploaded(file: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    if file:
        (folder / file).parent.mkdir()
        (folder / file).write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-m", "local", "run", "--images", str(folder)],
        env={"FRUITS_STATE": str(tmp_path / "state"), "PYTHONPATH": f"{REPO}:{REPO}/plugins", "PATH": "/nowhere"},
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "photos" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


def test_make_notices_a_missing_folder_before_it_sets_anything_up(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-s", ".images", f"IMAGES={tmp_path / 'missing'}"], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "missing is not a folder with files" in done.stderr
    assert (REPO / "Makefile").read_text().count(": .images") == 2, "`make run` and `make compose-run` check it first"
