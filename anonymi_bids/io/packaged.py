"""Find the files that ship inside the package and check that they are what was shipped."""

from __future__ import annotations

import functools
import tomllib
from importlib.resources import files
from pathlib import Path

from anonymi_bids.errors import ToolError
from anonymi_bids.io.images import sha256_of

MANIFEST = "manifest.toml"
"""``[files."name"]`` tables with sha256, origin and licence of every packaged data file."""


def data_folder() -> Path:
    """Folder of the packaged data files."""
    return Path(str(files("anonymi_bids"))) / "data"


@functools.cache
def packaged_path(name: str) -> Path:
    """Path of a packaged data file whose sha256 agrees with the manifest.

    Parameters
    ----------
    name : str
        Path below ``anonymi_bids/data/``.

    Raises
    ------
    ToolError
        If the file is missing, not listed or damaged.
    """
    path = data_folder() / name
    manifest = tomllib.loads((data_folder() / MANIFEST).read_text(encoding="utf-8"))
    entry = manifest.get("files", {}).get(name)
    if entry is None or not path.is_file():
        raise ToolError(f"The packaged file {name} is missing; install anonymi-bids again.")
    if sha256_of(path) != entry["sha256"]:
        raise ToolError(f"The packaged file {name} is damaged; install anonymi-bids again.")
    return path
