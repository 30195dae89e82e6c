"""What a person gives for hard cases: a table of landmarks, a folder of drawn regions.

Labels are those of INPUT, so messages name lines and files by number and never repeat them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from anonymi_bids.bids.entities import is_image, parse_path
from anonymi_bids.bids.tables import is_nothing, is_number
from anonymi_bids.errors import ImageError, SettingsError
from anonymi_bids.io.images import sha256_of
from anonymi_bids.io.tsv import read_tsv
from anonymi_bids.model import Entities

Key = tuple[str, str | None]
"""Subject and session label of INPUT; None for no session."""

Point = tuple[float, float, float]

COLUMNS = ("subject", "name", "x", "y", "z")
FURTHEST_MM = 2000.0
"""No scanner places a head farther from its origin than this."""


@dataclass(frozen=True, slots=True)
class DrawnRegion:
    """A region of face and ears drawn by hand.

    Attributes
    ----------
    path : Path
    number : int
        Place of the file among all, by name, from 1; for messages.
    entities : Entities
        Its name without ``desc`` and ``mod``.
    mod : str or None
        Suffix of the image it was drawn on, where the name says so.
    """

    path: Path
    number: int
    entities: Entities
    mod: str | None

    @property
    def of_reference(self) -> bool:
        """Whether the name speaks of a session only: then it lies on the reference's grid."""
        return self.mod is None and not self.entities.others


def digest_of(path: Path, option: str) -> str:
    """Digest of a file's bytes, or of the names and bytes of a folder's files.

    Raises
    ------
    SettingsError
        If there is nothing to read.
    """
    try:
        if path.is_file():
            return sha256_of(path)
        if path.is_dir():
            lines = [f"{sha256_of(p)}  {p.relative_to(path).as_posix()}" for p in _files(path)]
            return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    except OSError as error:
        raise SettingsError(f"What {option} names cannot be read; check its permissions.") from (
            error
        )
    raise SettingsError(f"What {option} names does not exist; check its path.")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def read_landmarks(path: Path, names: Collection[str]) -> dict[Key, dict[str, Point]]:
    """Read landmarks that were picked by hand.

    Parameters
    ----------
    path : Path
        Table with the columns ``subject``, ``name``, ``x``, ``y``, ``z`` and, where subjects have
        several, ``session``.
    names : collection of str
        Landmarks that are known.

    Returns
    -------
    dict
        (subject, session) → name → mm.

    Raises
    ------
    SettingsError
        Names the line that is wrong.
    """
    if not path.is_file():
        raise SettingsError("The --landmarks file is not a file; give a table of landmarks.")
    try:
        table = read_tsv(path)
    except ImageError as error:
        raise SettingsError(f"The --landmarks file cannot be used: {error}") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise SettingsError(
            f"The --landmarks file lacks the columns {', '.join(missing)}; subject, name, x, y, z "
            "and, where there are sessions, session are read."
        )
    found: dict[Key, dict[str, Point]] = {}
    for number, row in enumerate(table.rows, start=2):
        key, name, point = _landmark(row, number, names)
        if name in found.setdefault(key, {}):
            raise SettingsError(
                f"Line {number} of the --landmarks file gives {name} a second time; remove one."
            )
        found[key][name] = point
    if not found:
        raise SettingsError("The --landmarks file holds no landmark; fill it or leave it out.")
    return found


def _landmark(
    row: Mapping[str, str], number: int, names: Collection[str]
) -> tuple[Key, str, Point]:
    """One line of the table."""
    subject = row["subject"].removeprefix("sub-")
    session = row.get("session", "").removeprefix("ses-")
    name = row["name"]
    if is_nothing(subject):
        raise SettingsError(f"Line {number} of the --landmarks file names no subject; mend it.")
    if name not in names:
        raise SettingsError(
            f"Line {number} of the --landmarks file names no known landmark; known are "
            f"{', '.join(sorted(names))}."
        )
    texts = [row[axis] for axis in "xyz"]
    values = [float(text) if is_number(text) else math.nan for text in texts]
    if not all(abs(value) <= FURTHEST_MM for value in values):
        raise SettingsError(
            f"Line {number} of the --landmarks file has no three plain numbers in mm as x, y and "
            "z; mend it."
        )
    return (subject, None if is_nothing(session) else session), name, (*values,)  # type: ignore[return-value]


def find_face_masks(folder: Path) -> tuple[DrawnRegion, ...]:
    """Find regions drawn by hand, in a folder of any depth.

    Raises
    ------
    SettingsError
        If an image in it is not named as a region, two are for the same, or there is none.
    """
    if not folder.is_dir():
        raise SettingsError("What --face-masks names is no folder; give the folder of the masks.")
    images = [path for path in _files(folder) if is_image(path.name)]
    found = tuple(_drawn(path, number) for number, path in enumerate(images, start=1))
    if not found:
        raise SettingsError(
            "The folder of --face-masks holds no mask; name it "
            "sub-<label>[_ses-<label>][_<entities>]_desc-face_mask.nii.gz."
        )
    seen: dict[tuple[object, ...], int] = {}
    for region in found:
        entities = region.entities
        what = (entities.subject, entities.session, frozenset(entities.others), region.mod)
        if what in seen:
            raise SettingsError(
                f"The masks {seen[what]} and {region.number} of --face-masks (in the order of "
                "their paths) are for the same image; remove one."
            )
        seen[what] = region.number
    return found


def _drawn(path: Path, number: int) -> DrawnRegion:
    """Take the name of one mask apart."""
    stem = path.name.split("_")
    folders = [part for part in stem[:2] if part.startswith(("sub-", "ses-"))]
    entities = parse_path("/".join([*folders, path.name]))
    pairs = dict(entities.others) if entities is not None else {}
    if entities is None or entities.suffix != "mask" or pairs.pop("desc", "") != "face":
        raise SettingsError(
            f"Image {number} of --face-masks (in the order of their paths) is not named "
            "sub-<label>[_ses-<label>][_<entities>]_desc-face_mask.nii.gz; rename or remove it."
        )
    mod = pairs.pop("mod", None)
    plain = Entities(
        entities.subject, entities.session, "", "", entities.extension, tuple(pairs.items())
    )
    return DrawnRegion(path, number, plain, mod)
