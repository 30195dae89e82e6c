"""Look for identifiers left anywhere in a finished release, place by place.

The gates saw each image before it was admitted; this looks at all files that are there, once
more and with code of its own. It can find what looks like an identifier; it cannot know every
name. Voxels are not read here: the gates searched them.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anonymi_bids.io.canary import clear_text, holds

MAX_TEXT = 1 << 24
"""Larger texts are searched up to this many bytes."""

_TEXTS = (".json", ".tsv", ".bval", ".bvec", ".txt", ".md", "")
_KNOWN = (".nii", ".nii.gz", ".json", ".tsv", ".bval", ".bvec", ".tsv.gz")
_PLAIN_NAMES = ("README", "CHANGES", "LICENSE", ".bidsignore")
_DATE = re.compile(
    r"(?<![\d.])(?:19[3-9]\d|20\d\d)([-_/]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?![\d.])"
)
_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d{7,}(?!\d)")
_TELLING = re.compile(
    r"(?<!^ImageOrientation)Patient(?!Position$)|Physician|Operator|Institution|Station|Address|Accession|Birth|Comment|"
    r"(?:Study|Series|SOP)InstanceUID|StudyID|ProtocolName|SeriesDescription|StudyDescription",
)
"""Sidecar fields that dcm2niix and scanners write about people and places; how the person lay
(``PatientPosition``, ``ImageOrientationPatientDICOM``) tells nothing of who it was."""

_NIFTI1 = ((4, 10), (14, 18), (148, 80), (228, 24), (328, 16))
"""(offset, length): data_type, db_name, descrip, aux_file, intent_name."""


@dataclass(slots=True)
class Place:
    """One kind of place where identifiers hide.

    Attributes
    ----------
    name : str
        In words for the report.
    checked, found : int
        Files (or names) looked at, and those in which something was found.
    """

    name: str
    checked: int = 0
    found: int = 0
    unreadable: int = 0

    def note(self, hit: bool) -> None:
        """Count one look."""
        self.checked += 1
        self.found += bool(hit)


@dataclass(slots=True)
class Looks:
    """All places, by a short key."""

    places: dict[str, Place] = field(
        default_factory=lambda: {
            "names": Place("names of files and folders (dates, long numbers, old labels)"),
            "kinds": Place("files of an unknown kind, hidden files, links"),
            "gzip": Place("gzip wrappers (name, comment, time, size)"),
            "header": Place("text fields of image headers"),
            "extension": Place("header extensions and gaps before the voxels"),
            "sidecar": Place("sidecar fields about people and places"),
            "text": Place("texts and tables (dates, UIDs, e-mail, paths, addresses, old labels)"),
        }
    )

    def note(self, key: str, hit: bool) -> None:
        """Count one look at a place."""
        self.places[key].note(hit)


def look_for_traces(release: Path, originals: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Look through a release.

    Parameters
    ----------
    release : Path
        ``OUTPUT/release``.
    originals : sequence of str
        Labels of the input that were replaced.

    Returns
    -------
    list of dict
        ``place``, ``checked``, ``found``; one for each kind of place.
    """
    looks = Looks()
    for path in sorted(release.rglob("*")):
        name = path.relative_to(release).as_posix()
        looks.note("names", _telling_name(name, originals))
        if path.is_dir() and not path.is_symlink():
            continue
        extension = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
        plain = path.name in _PLAIN_NAMES or (extension in _KNOWN and path.name[0] != ".")
        looks.note("kinds", path.is_symlink() or not plain)
        if path.is_symlink():
            continue
        if extension in (".nii", ".nii.gz"):
            _look_at_image(path, looks, originals)
        elif extension in _TEXTS:
            _look_at_text(path, looks, originals)
    return [
        {"place": place.name, "checked": place.checked, "found": place.found}
        for place in looks.places.values()
    ]


def _telling_name(name: str, originals: Sequence[str]) -> bool:
    last = name.rsplit("/", 1)[-1]
    return bool(_DATE.search(last) or _LONG_NUMBER.search(last)) or holds(last, originals)


def _look_at_text(path: Path, looks: Looks, originals: Sequence[str]) -> None:
    with path.open("rb") as stream:
        text = stream.read(MAX_TEXT).decode("utf-8", "replace")
    dated = path.suffix in (".json", ".tsv") and bool(_DATE.search(text))
    looks.note("text", dated or not clear_text(path.name, text, originals).passed)
    if path.suffix == ".json":
        try:
            content = json.loads(text)
        except ValueError:
            looks.note("sidecar", True)
            return
        looks.note("sidecar", any(_TELLING.search(key) for key in _keys(content)))


def _keys(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield str(key)
            yield from _keys(value)
    elif isinstance(content, list):
        for value in content:
            yield from _keys(value)


def _look_at_image(path: Path, looks: Looks, originals: Sequence[str]) -> None:
    packed = path.name.endswith(".gz")
    opener: Callable[..., Any] = gzip.open if packed else open
    try:
        with opener(path, "rb") as stream:
            start = stream.read(348)
            offset, total = _layout(start)
            gap = stream.read(max(0, min(offset - 348, MAX_TEXT)))
    except (OSError, EOFError, struct.error, ValueError):
        for key in ("header", "extension", *(["gzip"] if packed else [])):
            looks.note(key, True)
        return
    fields = b"".join(start[at : at + length] for at, length in _NIFTI1)
    text = start.decode("latin-1")
    looks.note("header", bool(fields.strip(b"\0 ")) or holds(text, originals))
    looks.note("extension", bool(gap.strip(b"\0")))
    if packed:
        looks.note("gzip", _wrapper_tells(path, offset + total))


def _layout(start: bytes) -> tuple[int, int]:
    """First byte of the voxels and their number of bytes, of a NIfTI-1 header."""
    order = "<" if struct.unpack("<i", start[:4])[0] == 348 else ">"
    if struct.unpack(f"{order}i", start[:4])[0] != 348:
        raise ValueError("This is no NIfTI-1 header.")
    dims = struct.unpack(f"{order}8h", start[40:56])
    bits = struct.unpack(f"{order}h", start[72:74])[0]
    count = 1
    for size in dims[1 : 1 + max(0, min(7, dims[0]))]:
        count *= max(1, size)
    return int(struct.unpack(f"{order}f", start[108:112])[0]), count * bits // 8


def _wrapper_tells(path: Path, expected: int) -> bool:
    """Whether the gzip wrapper has a name, a comment, a time, or not the image's size."""
    with path.open("rb") as stream:
        start = stream.read(10)
        stream.seek(-4, 2)
        size = struct.unpack("<I", stream.read(4))[0]
    return bool(start[3] & 0b11100 or start[4:8] != b"\0\0\0\0" or size != expected % 2**32)
