"""Find the DICOM images of a tree by what the files hold, never by their names.

Nothing of a file is trusted: its first bytes decide whether it is opened at all, lengths are held
against the size on disk before anything is read, pixels are not touched, and links that leave the
tree are not followed.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anonymi_bids.dicom.header import DicomFile, NotUsable, identity, read_header
from anonymi_bids.errors import InputError


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not converted.

    Attributes
    ----------
    path : str
        Relative to the root, with forward slashes. May hold a patient's name: private.
    reason : str
        One sentence without text of the file.
    """

    path: str
    reason: str


def scan_tree(root: Path) -> tuple[list[DicomFile], list[Skipped]]:
    """Read the headers of all DICOM images below a folder.

    Parameters
    ----------
    root : Path
        Folder; never written to.

    Returns
    -------
    files : list of DicomFile
        Sorted by SOPInstanceUID; of several copies of one instance the largest is kept.
    skipped : list of Skipped
        Every other file, sorted by path.

    Raises
    ------
    InputError
        If the folder is missing or cannot be listed.
    """
    import pydicom.config

    root = Path(root).resolve()
    if not root.is_dir():
        raise InputError("INPUT is not a folder; give the folder that holds the DICOM files.")
    files: list[DicomFile] = []
    skipped: list[Skipped] = []
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        for entry, reason in _walk(root):
            relative = _printable(Path(os.path.relpath(entry, root)).as_posix())
            try:
                if reason:
                    raise NotUsable(reason)
                files.append(read_header(entry))
            except NotUsable as error:
                skipped.append(Skipped(relative, str(error)))
    files, copies = _without_copies(files, root)
    return files, sorted(skipped + copies, key=lambda entry: entry.path)


def _printable(text: str) -> str:
    """Text without lone surrogates (names that are no UTF-8) and control characters."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """Give each file below root with an empty string, or with the reason not to open it."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            if folder == root:
                raise InputError("INPUT cannot be listed; check its permissions.") from None
            yield folder, "The folder cannot be listed; check its permissions."
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.is_symlink():
                yield path, _link_reason(path, root)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(path)
            else:
                yield path, _file_reason(entry)


def _file_reason(entry: os.DirEntry[str]) -> str:
    try:
        facts = entry.stat(follow_symlinks=False)
    except OSError:
        return "The file vanished while the input was listed."
    if not stat.S_ISREG(facts.st_mode):
        return "It is a pipe, socket or device, not a file."
    return "" if facts.st_size else "The file is empty."


def _link_reason(path: Path, root: Path) -> str:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "It is a link that leads nowhere."
    if target.is_relative_to(root):
        return "It is a link to another place of the input, which is read there."
    return "It is a link that leaves the input; links are not followed out of it."


def _without_copies(files: list[DicomFile], root: Path) -> tuple[list[DicomFile], list[Skipped]]:
    """Keep one file an instance: the largest, then the first by path."""
    kept: dict[str, DicomFile] = {}
    copies: list[Skipped] = []
    for file in sorted(files, key=lambda file: (-file.n_bytes, str(file.path))):
        uid = "\x00".join(
            (
                file.text("SOPInstanceUID") or str(file.path),
                file.text("SeriesInstanceUID"),
                identity(file)[0],
            )
        )
        if uid in kept:
            relative = _printable(file.path.relative_to(root).as_posix())
            copies.append(Skipped(relative, "It is a copy of another file of the input."))
        else:
            kept[uid] = file
    return [kept[uid] for uid in sorted(kept)], copies
