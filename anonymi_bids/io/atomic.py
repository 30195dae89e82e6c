"""Write files so that a reader, or a killed run, never sees half of one."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anonymi_bids.errors import SpaceError

_SPACE_ERRNOS = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def space_errors(what: str) -> Iterator[None]:
    """Turn "no space left" into the project's own error.

    Parameters
    ----------
    what : str
        What was being written, in words of the project (never a patient's file name).

    Raises
    ------
    SpaceError
        If the disk or quota is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _SPACE_ERRNOS:
            raise SpaceError(
                f"The disk is full while writing {what}; free some space and start the same "
                "command again."
            ) from error
        raise


@contextmanager
def atomic_path(target: Path, *, folder: Path | None = None) -> Iterator[Path]:
    """Give a temporary path that becomes `target` only if the block ends without an error.

    Parameters
    ----------
    target : Path
        Final path; its folder is made.
    folder : Path, optional
        Where the temporary file lies; must be on the same file system. Default: beside `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.parent if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".tmp-", suffix=target.name[-24:], dir=folder)
    os.close(handle)
    temporary = Path(name)
    try:
        with space_errors(target.name):
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(target: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_json(target: Path, content: Any) -> None:
    """Write JSON atomically with stable key order and a final newline."""
    write_text(target, as_json(content))


def as_json(content: Any) -> str:
    """Format JSON with stable key order and a final newline."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, default=_plain)
    return text + "\n"


def _plain(value: Any) -> Any:
    """Turn numpy scalars and arrays into plain Python for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"A value of type {type(value).__name__} cannot be written as JSON.")
