"""List every file below a folder without ever leaving it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """One file (or unusable thing) of the input.

    Attributes
    ----------
    path : str
        Relative to the root, with forward slashes.
    source : Path
        Absolute path.
    problem : str
        Why it cannot be opened at all, in one sentence; empty for an ordinary file.
    is_folder : bool
        Whether it stands for a folder that was not entered.
    """

    path: str
    source: Path
    problem: str = ""
    is_folder: bool = False

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]


LEAVES = "It is a link that leads out of INPUT; links out of INPUT are not followed."
NOT_THERE = "It is a link to something that is not there; fetch its content (e.g. datalad get)."
FOLDER_LINK = "It is a link to a folder; links to folders are not followed, put the folder there."
SPECIAL = "It is neither a file nor a folder."
UNREADABLE = "It cannot be read; change its permissions."


def list_folder(root: Path, relative: str = "") -> list[Found]:
    """List one folder, sorted by name, folders marked and not entered."""
    folder = root / relative if relative else root
    found = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return [Found(relative, folder, UNREADABLE, True)]
    for entry in entries:
        path = f"{relative}/{entry.name}" if relative else entry.name
        found.append(_judge(root, entry, path))
    return found


def walk(root: Path, relative: str = "") -> list[Found]:
    """List all files below a folder of `root`, hidden ones included, sorted by path.

    Parameters
    ----------
    root : Path
        Resolved INPUT folder.
    relative : str
        Folder below it.

    Returns
    -------
    list of Found
    """
    found: list[Found] = []
    waiting = [relative]
    while waiting:
        for entry in list_folder(root, waiting.pop()):
            if entry.is_folder and not entry.problem:
                waiting.append(entry.path)
            else:
                found.append(entry)
    return sorted(found, key=lambda entry: entry.path)


def _judge(root: Path, entry: os.DirEntry[str], path: str) -> Found:
    source = Path(entry.path)
    try:
        if entry.is_symlink():
            return _judge_link(root, source, path)
        if entry.is_dir(follow_symlinks=False):
            return Found(path, source, is_folder=True)
        if not entry.is_file(follow_symlinks=False):
            return Found(path, source, SPECIAL)
    except OSError:
        return Found(path, source, UNREADABLE)
    return Found(path, source, "" if os.access(source, os.R_OK) else UNREADABLE)


def _judge_link(root: Path, source: Path, path: str) -> Found:
    """Follow links to ordinary files within the root (as DataLad makes them), nothing else."""
    try:
        target = source.resolve(strict=True)
    except (OSError, RuntimeError):
        inside = Path(os.path.realpath(source)).is_relative_to(root)
        return Found(path, source, NOT_THERE if inside else LEAVES)
    if not target.is_relative_to(root):
        return Found(path, source, LEAVES)
    mode = target.stat().st_mode
    if stat.S_ISDIR(mode):
        return Found(path, source, FOLDER_LINK)
    if not stat.S_ISREG(mode):
        return Found(path, source, SPECIAL)
    return Found(path, source, "" if os.access(target, os.R_OK) else UNREADABLE)
