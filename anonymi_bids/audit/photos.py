"""Photographs given by the user, searched in the release by a recogniser of faces.

They are read where they lie, made grey, cropped loosely round the face, turned into vectors, and
forgotten: neither they nor their vectors are written anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anonymi_bids.audit.recognised import PHOTO, Look, Shown, compare_looks
from anonymi_bids.audit.recogniser import EXTRA, Picture, Points, Recogniser
from anonymi_bids.audit.trials import Outcome
from anonymi_bids.audit.visits import Duel, Item, Side
from anonymi_bids.errors import ImageError, InputError, ToolError
from anonymi_bids.io.tsv import read_tsv

COLUMNS = ("participant_id", "filename")
MOST_PIXELS = 1024
"""Longest side of a photograph when a face is sought; larger ones are made smaller."""

MOST_BYTES = 100_000_000
_LOOSE = 0.6
"""Margin round the landmarks, of their extent."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One photograph of the user's table."""

    subject: str
    path: Path


def list_photos(folder: Path, new_labels: Mapping[str, str]) -> list[Listed]:
    """Read which photograph shows whom.

    Parameters
    ----------
    folder : Path
        Holds one ``.tsv`` with the columns ``participant_id`` (as in the input) and ``filename``
        (relative to the folder), and the pictures.
    new_labels : mapping
        Label of the input → label of the release, where labels were replaced.

    Raises
    ------
    InputError
        If there is not exactly one table, it lacks a column, or a file is not in the folder.
    """
    tables = sorted(folder.glob("*.tsv")) if folder.is_dir() else []
    if len(tables) != 1:
        raise InputError(
            f"The folder of --photos holds {len(tables)} tables (.tsv) where one was expected; "
            f"put one with the columns {' and '.join(COLUMNS)} beside the pictures."
        )
    try:
        table = read_tsv(tables[0])
    except ImageError as error:
        raise InputError(f"The table of --photos: {error}") from error
    if not set(COLUMNS) <= set(table.columns):
        raise InputError(
            f"The table of --photos lacks a column of {' and '.join(COLUMNS)}; add it."
        )
    inside = folder.resolve()
    found = []
    for number, row in enumerate(table.rows, start=2):
        path = folder / row["filename"]
        if not (path.is_file() and path.resolve().is_relative_to(inside)):
            raise InputError(
                f"Line {number} of the table of --photos names a file that is not in the folder; "
                "correct it."
            )
        found.append(Listed(_new_label(row["participant_id"], new_labels), path))
    return found


def _new_label(given: str, new_labels: Mapping[str, str]) -> str:
    """Label in the release of a person of the input; empty if it cannot be told."""
    for label in (given, given.removeprefix("sub-")):
        if label in new_labels:
            return new_labels[label]
    # Another person's new label must not be taken for an old one.
    label = given.removeprefix("sub-")
    return "" if label in new_labels.values() else label


def read_photo(path: Path) -> Picture:
    """Read a photograph, grey and upright, at most `MOST_PIXELS` a side.

    Raises
    ------
    ImageError
        If it is no picture that can be read.
    ToolError
        If Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ToolError(
            f"Pillow, which reads photographs, is not installed; install it with: {EXTRA}"
        ) from error
    unreadable = "A photograph cannot be read; save it again as JPEG or PNG."
    if path.stat().st_size > MOST_BYTES:
        raise ImageError(unreadable)
    try:
        with Image.open(path) as opened:
            opened.draft("L", (MOST_PIXELS, MOST_PIXELS))
            upright = ImageOps.exif_transpose(opened).convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(unreadable) from error
    upright.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return np.asarray(upright, dtype=np.uint8)


def crop(picture: Picture, landmarks: Points) -> tuple[Picture, Points]:
    """Cut loosely round a face; landmarks in the new pixels."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    margin = _LOOSE * (high - low)
    first = np.maximum(np.floor(low - margin), 0).astype(int)
    last = np.ceil(high + margin).astype(int)
    return picture[first[1] : last[1], first[0] : last[0]], landmarks - first


def look_at(paths: Sequence[Path], recogniser: Recogniser) -> Look | None:
    """Show a person's photographs to a recogniser; None if it finds no face on any."""
    vectors, scores = [], []
    for path in paths:
        try:
            picture = read_photo(path)
        except ImageError:
            continue
        found = recogniser.find(picture)
        if found is not None:
            vectors.append(recogniser.embed(*crop(picture, found.landmarks)))
            scores.append(found.score)
    if not vectors:
        return None
    stacked = np.stack(vectors)
    view = np.full(len(vectors), -1, dtype=np.int64)
    # The control searches the photograph itself among pictures of nothing but air.
    return Look(stacked, view, stacked.mean(axis=0, keepdims=True), max(scores))


def attack_photos(
    listed: Sequence[Listed], shown: Shown, recogniser: Recogniser, rng: np.random.Generator
) -> Outcome | None:
    """Search photographed people in the release; None if nobody can be attacked.

    The control searches the same people among the originals. A photograph and a scan are never one
    acquisition, so all images of a person may be compared. People whose photographs show no face
    to the detector cannot be searched and are counted apart (``photograph``).

    Parameters
    ----------
    listed : sequence of Listed
    shown : Shown
    recogniser : Recogniser
        The one that the images were shown to.
    rng : numpy Generator
        Shuffles names.
    """
    if recogniser.name != shown.recogniser:
        raise ToolError(
            "The face recogniser is of another version than the one the images were shown to; "
            "start again with the participant level."
        )
    by_person: dict[str, list[Path]] = {}
    for photo in listed:
        by_person.setdefault(photo.subject, []).append(photo.path)
    scanned = [{item.meta.subject for item in shown.items[kind]} for kind in _KINDS]
    sought = sorted(set(by_person) & scanned[0] & scanned[1])
    looks = {name: look_at(by_person[name], recogniser) for name in sought}
    known = {name: look for name, look in looks.items() if look is not None}
    if not known:
        return None
    duels = tuple(_duel(shown.items[kind], list(known)) for kind in _KINDS)
    faces = list(known.values())
    sides = [([shown.look(item) for item in duel.probes.items], faces) for duel in duels]
    counts = {"original": 0, "released": 0, "photograph": len(sought) - len(known)}
    found = compare_looks(PHOTO, (duels[0], duels[1]), sides, rng, counts)
    return replace(found, recogniser=shown.recogniser)


_KINDS = ("original", "released")


def _duel(items: Sequence[Item], people: list[str]) -> Duel:
    """Everybody's images against everybody's photographs, which count as one."""
    order = {name: index for index, name in enumerate(people)}
    mine = sorted(
        (item for item in items if item.meta.subject in order),
        key=lambda item: (order[item.meta.subject], item.meta.stem),
    )
    person = np.array([order[item.meta.subject] for item in mine], dtype=np.int64)
    own = tuple(
        np.array([(row, index) for row in np.flatnonzero(person == index)], dtype=np.int64)
        for index in range(len(people))
    )
    firsts = tuple(mine[int(pairs[0, 0])] for pairs in own)
    return Duel(
        tuple(people),
        Side(tuple(mine), person),
        Side(firsts, np.arange(len(people), dtype=np.int64)),
        own,
        np.zeros(len(people), dtype=bool),
    )
