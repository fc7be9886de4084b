"""The cause of a failure, read from a log."""

from pathlib import Path

import pytest

from local.emr.logs import find_cause

JAVA = 'INFO a\nException in thread "main" java.io.IOException: full\n\tat x.y(Z)\nINFO b\n'
PYTHON = "Traceback (most recent call last):\n  File x\nUnreadable: photo\n24/01/01 INFO ShutdownHook\n"


@pytest.mark.parametrize(
    ("stderr", "cause"),
    [
        ("", ""),
        ("starting\nlast words\n\n", "last words"),
        (JAVA, 'Exception in thread "main" java.io.IOException: full'),
        (PYTHON, "Unreadable: photo"),
        ("ValueError: early\nTraceback (most recent call last):\n  File x\n", "ValueError: early"),
    ],
)
def test_the_cause_of_a_failure_is_found(tmp_path: Path, stderr: str, cause: str) -> None:
    (tmp_path / "stderr").write_text(stderr)
    assert find_cause(tmp_path / "stderr") == cause
