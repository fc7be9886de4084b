"""Every command of README.md and docs/quickstart.md is executed by a test, or listed with the reason why not."""

from pathlib import Path

import pytest

from tests.fixtures.documented_commands import NOT_EXECUTED, PAGES, Command, commands


def test_what_is_listed_as_not_executed_is_documented() -> None:
    documented = {command.text for page in PAGES for command in commands(page)}
    assert not set(NOT_EXECUTED) - documented, "remove these from NOT_EXECUTED: no page has them any more"


def test_commands_lose_their_comments_and_indentation(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("1. Text\n   ```sh\n   make up   # starts\n   # only a comment\n   make run PARAMS='{\"a\": 1}'\n   ```\n")
    assert [command.text for command in commands(page)] == ["make up", "make run PARAMS='{\"a\": 1}'"]
    page.write_text("```python\nfor i in 1, 2:\n    print(i)\n```\n")
    assert list(commands(page)) == [Command("page.md", "python", "for i in 1, 2:\n    print(i)\n")]


def test_a_block_of_an_unknown_language_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\nmake up\n```\n")
    with pytest.raises(AssertionError, match="a block of bash"):
        list(commands(page))
