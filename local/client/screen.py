"""How a run is shown while it runs: one screen on a terminal, lines everywhere else."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from local.client.airflow_api import RUNNING, DagRun
from local.client.live_log import LogTail
from local.console import calling

TAIL_LINES = 8
QUIET_S = 3.0  # without a terminal, a line follows after so many seconds
REMIND_S = 1.0  # how often that is checked
_SYMBOLS = {
    "success": ("✓", "green"),
    "failed": ("✗", "red"),
    "upstream_failed": ("✗", "red dim"),
    "skipped": ("○", "dim"),
    "running": ("●", "cyan"),
    "deferred": ("◌", "cyan"),
    "up_for_retry": ("↻", "yellow"),
}
_WAITING = ("·", "dim")


class Screen:
    """A terminal, where `live` is redrawn; without it, lines: one per change of a task's state, and one every few seconds."""

    def __init__(self, console: Console, live: Live | None = None) -> None:
        self._console = console
        self._live = live
        self._lock = threading.Lock()
        self._printed_at = time.monotonic()
        self._known: dict[str, str] = {}
        self._shown: tuple[DagRun, LogTail, float] | None = None

    def show(self, run: DagRun, log: LogTail) -> None:
        """Show the run in its present state."""
        if self._live:
            self._live.update(render(run, log), refresh=True)
            return
        with self._lock:
            self._shown = (run, log, time.monotonic())
            self._print_changes(run)
        self.remind()

    def remind(self) -> None:
        """Print a line if none has been printed for a while; callable from another thread, while Airflow does not answer."""
        with self._lock:
            now = time.monotonic()
            if now - self._printed_at < QUIET_S:
                return
            if self._shown is None:
                self._console.print("waiting for Airflow")
                self._printed_at = now
            else:
                run, log, shown_at = self._shown
                self._print_progress(replace(run, seconds=run.seconds + now - shown_at), log)

    def _print_changes(self, run: DagRun) -> None:
        for task in run.tasks:
            if task.state != self._known.get(task.task, "waiting"):
                self._known[task.task] = task.state
                self._print(run, task.task, task.state, f"{task.seconds:.1f} s")

    def _print_progress(self, run: DagRun, log: LogTail) -> None:
        running = [task for task in run.tasks if task.state in RUNNING]
        if not running:
            self._print(run, "", run.state, "no task is running")
        elif log.progress:
            self._print(run, running[-1].task, running[-1].state, log.progress.summary())
        else:
            self._print(run, running[-1].task, running[-1].state, f"{running[-1].seconds:.1f} s")

    def _print(self, run: DagRun, task: str, state: str, text: str) -> None:
        self._console.print(f"{run.seconds:6.0f} s  {task:<20} {state:<16} {text}")
        self._printed_at = time.monotonic()


@contextmanager
def open_screen(console: Console) -> Iterator[Screen]:
    """Give the screen that fits the console."""
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            yield Screen(console, live)
        return
    screen = Screen(console)
    with calling(screen.remind, every_s=REMIND_S):
        yield screen


def render(run: DagRun, log: LogTail) -> RenderableType:
    """Return the screen: a row per task, with a bar for a stage that reports its progress, and the end of the log."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for task in run.tasks:
        symbol, style = _SYMBOLS.get(task.state, _WAITING)
        seconds = f"{task.seconds:.0f} s" if task.seconds else ""
        bar: RenderableType = ""
        if task.state in RUNNING and log.title.startswith(f"{task.task},") and log.progress and log.progress.total:
            bar = ProgressBar(total=log.progress.total, completed=log.progress.done, width=40)
        table.add_row(Text(symbol, style), Text(task.task), Text(task.state, style), Text(seconds, justify="right"), bar)
    head = Text.assemble((run.dag, "bold"), f"  {run.id}  {run.state}  {run.seconds:.0f} s")
    parts: list[RenderableType] = [head, table]
    if log.progress:
        parts.append(Text(log.progress.summary(), "cyan", no_wrap=True, overflow="ellipsis"))
    if log.title:
        parts.append(Rule(log.title, style="dim", align="left"))
        parts += [Text(line, "dim", no_wrap=True, overflow="ellipsis") for line in log.lines]
    return Group(*parts)
