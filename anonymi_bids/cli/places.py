"""Where things lie in OUTPUT, and whether INPUT and OUTPUT can be used at all."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from anonymi_bids.errors import InputError, UsageError
from anonymi_bids.io.atomic import space_errors


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of a run (design §4)."""

    input: Path
    output: Path
    work: Path

    @property
    def release(self) -> Path:
        """What may be handed out."""
        return self.output / "release"

    @property
    def report(self) -> Path:
        """The audit's report."""
        return self.output / "report"

    @property
    def private(self) -> Path:
        """What may not be handed out."""
        return self.output / "private"


def find_places(input_folder: str, output_folder: str, work_folder: str | None) -> Places:
    """Check INPUT and OUTPUT without writing anything.

    Raises
    ------
    UsageError
        If either cannot be used, or one lies in the other.
    """
    source = Path(input_folder)
    if not source.exists():
        raise InputError("INPUT does not exist; give the folder that holds the scans.")
    if not source.is_dir():
        raise InputError("INPUT is a file; give the folder that holds the scans.")
    source = source.resolve()
    output = Path(output_folder).resolve()
    if not any(source.iterdir()):
        raise InputError("INPUT is an empty folder; give the folder that holds the scans.")
    if output == source or source in output.parents:
        raise UsageError(
            "OUTPUT lies in INPUT, which is never written to; give a folder outside it."
        )
    if output in source.parents and (output / "private").exists():
        raise UsageError("INPUT lies in the OUTPUT of a run; give the folder of the originals.")
    work = Path(work_folder).resolve() if work_folder else output / "work"
    if source == work or source in work.parents:
        raise UsageError("The work folder lies in INPUT, which is never written to.")
    for folder, name in ((output, "OUTPUT"), (work, "The work folder")):
        _check_writable(folder, name)
    return Places(source, output, work)


def check_gallery(gallery: str, places: Places) -> None:
    """Check that a second dataset is there and is a second one.

    Parameters
    ----------
    gallery : str
        Empty for none.
    places : Places

    Raises
    ------
    UsageError
        If there is no such folder, it is INPUT or part of OUTPUT, or it holds nothing to compare.
    """
    if not gallery:
        return
    folder = Path(gallery).resolve()
    if not folder.is_dir():
        raise UsageError("What --gallery names is no folder; give a dataset or a run's features.")
    if folder == places.input or folder == places.output or places.output in folder.parents:
        raise UsageError(
            "What --gallery names is the dataset of this run itself; give another one."
        )
    from anonymi_bids.audit.features import find_features

    if not any(folder.glob("sub-*/")) and find_features(folder) is None:
        raise UsageError(
            "What --gallery names is neither a BIDS dataset nor the features of an earlier run; "
            "give a folder with sub-<label> folders, or OUTPUT/private/features of that run."
        )


def _check_writable(folder: Path, name: str) -> None:
    """Raise unless a folder is, or could be made, writable; nothing is left behind."""
    nearest = folder
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UsageError(f"{name} cannot be made because a file is in its place.")
    try:
        handle, probe = tempfile.mkstemp(prefix=".probe-", dir=nearest)
    except OSError as error:
        raise UsageError(
            f"{name} cannot be written to; choose another folder or change its permissions."
        ) from error
    os.close(handle)
    os.unlink(probe)


def prepare(places: Places) -> None:
    """Make the folders of OUTPUT; ``private/`` and the work folder are for their owner only."""
    with space_errors("the folders of OUTPUT"):
        places.release.mkdir(parents=True, exist_ok=True)
        places.report.mkdir(exist_ok=True)
        for folder in (places.private, places.work):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
