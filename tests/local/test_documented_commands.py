"""The commands of docs/quickstart.md and README.md, executed in their order on services and a home folder of their own."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from local import REPO
from local.client import synthetic_photos
from local.waiting import wait_until
from tests.fixtures.documented_commands import PAGES, PYTHON, Command, commands

pytestmark = [pytest.mark.slow, pytest.mark.separate]

SERVE = "make serve"  # runs until Ctrl-C, beside the commands that follow
SERVICE_URL = "http://127.0.0.1:8000"  # as the pages have it; the port may be taken
STOPS = "make down"
COMMAND_LIMIT_S = 1200
# Of other tests' services, of this Python, and of `make test`.
NOT_KEPT = ("AWS_", "FRUITS_", "AIRFLOW_", "PYTHON", "MAKE", "MFLAGS")


@dataclass
class Terminal:
    """A terminal: what a command exports is there for the next one."""

    home: Path
    state: Path
    service: "subprocess.Popen[bytes] | None" = None
    url: str = SERVICE_URL
    done: dict[str, str] = field(default_factory=dict)

    def run(self, command: Command) -> str:
        """Run one command and return its output; a page's service is started once and asked at the port it has chosen."""
        if command.text == SERVE:
            self._serve()
            return ""
        if command.text == STOPS:
            self.interrupt()
        is_python = command.language == PYTHON
        ended = subprocess.run(
            ["bash", "-c", self._script("python -" if is_python else command.text)],
            input=command.text if is_python else "",
            env=self.env,
            cwd=REPO,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        output = ended.stdout + ended.stderr
        print(f"$ {command.text}\n{output}")
        assert ended.returncode == 0, f"{command.page}: {command.text}\n{output[-4000:]}"
        self.done[command.text] = output
        return output

    def interrupt(self) -> None:
        """Press Ctrl-C in the service's terminal."""
        if self.service is not None:
            os.killpg(self.service.pid, signal.SIGINT)
            self.service.wait(120)
            self.service = None

    @property
    def env(self) -> dict[str, str]:
        # The rest may be what this machine needs to reach the package index.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_KEPT)}
        return {**kept, "HOME": str(self.home), "FRUITS_STATE": str(self.state)}

    def _script(self, text: str) -> str:
        exports = self.home / "exports"
        substituted = text.replace(SERVICE_URL, self.url).replace("@apple.jpg", f"@{self.home / 'apple.jpg'}")
        # bash writes "declare -x" lines, which bash reads again.
        return f'[ ! -e "{exports}" ] || . "{exports}"; {substituted}\ncode=$?; export -p > "{exports}"; exit $code'

    def _serve(self) -> None:
        if self.service is not None:
            return
        log = self.home / "serve.log"
        with log.open("wb") as output:
            argv = ["bash", "-c", SERVE]
            self.service = subprocess.Popen(argv, env=self.env, cwd=REPO, stdout=output, stderr=output, start_new_session=True)

        def is_ready() -> bool:
            found = re.search(r"The page: (http://\S+)", log.read_text())
            self.url = found[1] if found else self.url
            try:
                return found is not None and httpx.get(f"{self.url}/ready", trust_env=False).is_success
            except httpx.TransportError:
                return False

        assert wait_until(is_ready, timeout_s=180, every_s=0.5), log.read_text()


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal of somebody who has photos where the pages suppose them."""
    home = tmp_path_factory.mktemp("home")
    training = home / "fruits-360" / "Training"
    synthetic_photos.generate(training, per_variety=12)
    shutil.copy(next(training.glob("*Apple/*.jpg")), home / "apple.jpg")
    terminal = Terminal(home, home / "state")
    try:
        yield terminal
    finally:
        terminal.interrupt()
        terminal.run(Command("", "sh", STOPS))


def test_the_commands_do_what_the_pages_say(terminal: Terminal) -> None:
    # The services stay up for the README as well; a command that both pages have is executed once.
    last = Command("quickstart.md", "sh", STOPS)
    for command in [command for page in PAGES for command in commands(page)]:
        if command.is_executed and command != last and command.text not in terminal.done:
            terminal.run(command)

    done = terminal.done
    assert "Synthetic Apple" in next(output for text, output in done.items() if "value_counts" in text)
    assert "report/index.html" in done["ls out/*/report/index.html"]
    assert re.search(r"^current +yes", done["make run IMAGES=~/photos/tuesday TRAIN=1"], re.MULTILINE)
    assert re.search(r"classifier \w+ is current, instead of \w+", done["make rollback BUCKET=fruits-local"])
    predictions = [output for text, output in done.items() if text.startswith("curl")]
    assert len(predictions) == 2
    assert all('"verdict"' in output for output in predictions)
    terminal.run(last)
