"""Show how far a run is: a rich table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=False, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print one line for the user."""
    console.print(text, markup=False)


def complain(text: str) -> None:
    """Print one line to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


class Steps:
    """Counts finished steps of the graph and says which subject and step was finished last."""

    def __init__(self, total: int, title: str) -> None:
        self.total = total
        self.done = 0
        self.title = title
        self.started = time.monotonic()
        self._last_line = 0.0
        self._bar: Progress | None = None
        self._task: Any = None

    @contextmanager
    def shown(self) -> Iterator[Steps]:
        """Show the progress while the block runs."""
        if not sys.stdout.isatty():
            yield self
            return
        columns = (
            TextColumn("{task.description:<44}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as self._bar:
            self._task = self._bar.add_task(self.title, total=self.total)
            yield self

    def finished(self, what: str) -> None:
        """Count one step; `what` names subject and step by pseudonym."""
        self.done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, description=what)
            return
        now = time.monotonic()
        if now - self._last_line < 5 and self.done < self.total:
            return
        self._last_line = now
        passed = now - self.started
        left = passed / self.done * max(0, self.total - self.done)
        say(f"[{self.done}/{self.total}] {what} ({passed:.0f} s passed, about {left:.0f} s left)")

    def status_callback(self, node: Any, status: str) -> None:
        """Nipype's status callback: called with "start", "end" or "exception" for each node."""
        if status in ("end", "exception"):
            session = node.fullname.split(".")[1].removesuffix("_wf").replace("_ses_", " ses-")
            self.finished(f"{session.replace('sub_', 'sub-')} · {node.name.replace('_', ' ')}")
