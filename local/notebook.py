"""Opens notebooks/explore.ipynb in JupyterLab on the embedded services: `make notebook`."""

import os
from pathlib import Path

from local import REPO, foreground
from local.console import say
from local.stack import ports
from local.stack.stack import Stack, kept_variables

NOTEBOOK = REPO / "notebooks" / "explore.ipynb"
PROGRAM = REPO / ".venv-notebook" / "bin" / "jupyter-lab"  # made by the Makefile
PREFERRED_PORT = 8888
# Where a desktop's browser and the user's own Jupyter settings are.
USER = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "BROWSER", "JUPYTER_CONFIG_DIR")


def notebook(stack: Stack) -> int:
    """Run JupyterLab in the foreground until it is interrupted, and return its exit code."""
    port = ports.choose({"notebook": PREFERRED_PORT})["notebook"]
    user = {name: os.environ[name] for name in USER if name in os.environ}
    say("JupyterLab prints its address; Ctrl-C stops it")
    return foreground.run(command(port), env={**kept_variables(), **user, **stack.env})


def command(port: int, *, program: Path = PROGRAM) -> list[str]:
    """Return the command line of JupyterLab: on this machine's own address only, with its random token, without news."""
    options = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.answer_yes=True",  # Ctrl-C stops it without a question
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if os.geteuid() == 0:
        options.append("--ServerApp.allow_root=True")
    return [str(program), str(NOTEBOOK), *options]
