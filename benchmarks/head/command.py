"""What the commands of this folder share: their options, resumed work, a page with its figures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.common import in_processes, read_json, write_json, write_text


class Kept(Protocol):
    """A task whose result is a file."""

    @property
    def result(self) -> Path:
        """Where the figures are kept."""


def parser_of(module: str, about: str | None, nprocs: int = 2) -> argparse.ArgumentParser:
    """Options that all commands know."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.head.{module}", description=about)
    parser.add_argument("--model", type=Path, help="weights other than the packaged")
    parser.add_argument("--nprocs", type=int, default=nprocs)
    parser.add_argument("--docs", type=Path, help="folder for the table and its figures")
    return parser


def unscanned(folder: Path) -> list[Path]:
    """Subjects of a folder whose truth is whole: no real scans."""
    return [path for path in sorted(folder.glob("*.npz")) if not path.stem.startswith("scan")]


def measured(
    tasks: Sequence[Kept], work: Callable[[Any], str], nprocs: int
) -> tuple[list[Any], list[str]]:
    """Do what has not been done; returns all results there are, and what failed."""
    todo = [task for task in tasks if not task.result.exists()]
    for folder in {task.result.parent for task in todo}:
        folder.mkdir(parents=True, exist_ok=True)
    failures = in_processes(work, todo, nprocs)
    return [read_json(task.result) for task in tasks if task.result.exists()], failures


def published(
    text: str, figures: Any, docs: Path | None, name: str, failures: Sequence[str]
) -> int:
    """Print the page, write it beside its figures where asked; returns the exit code."""
    print(text)
    if docs is not None:
        write_json(docs / f"{name}.json", figures)
        write_text(docs / f"{name}.md", text)
    for line in failures:
        print("FAILED", line)
    return 1 if failures else 0
