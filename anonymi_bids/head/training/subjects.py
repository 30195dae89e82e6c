"""What the head model learns from: labelled heads, and what each of them can teach.

A voxel carries a *tissue* (the codes of `anonymi_bids.phantoms.paint`, and two more for scans of
which only brain and outline are known). Each head has its own table from tissue to the *classes*
that the voxel may belong to, because label maps differ in what they tell apart: a map without
skull allows bone and soft tissue alike where it says "soft tissue".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import Affine
from anonymi_bids.head.network import CLASSES
from anonymi_bids.io.atomic import atomic_path

MIRRORED = (0, 2, 1, 4, 3, 5, 6)
"""Order of the landmarks in a mirrored head."""

TEACHER_BRAIN, TEACHER_HEAD = 14, 15
N_CODES = 16

_CLASS_OF_CODE = (0, 1, 1, 2, 3, 5, 4, 6, 5, 1, 3, 5, 4, 4, 1, 5)
"""Class of each tissue code where a map tells all apart."""

SCALE, HALF_MOST = 1000.0, 60_000.0
"""Signals are kept in half precision, bright tissue at 1000."""

FACE_BIT, EAR_LEFT_BIT, EAR_RIGHT_BIT = 1, 2, 4


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One labelled head.

    Attributes
    ----------
    name : str
    person : str
        Whose head it is: subjects of one person are never split between training and test.
    tissue : (I, J, K) uint8 ndarray
        Codes 0 … 15.
    regions : (I, J, K) uint8 ndarray
        Bits: 1 face, 2 left ear, 4 right ear; own tissue only.
    affine : (4, 4) float64 ndarray
        Voxel → mm.
    atlas_to_head : (4, 4) float64 ndarray
        Atlas mm → mm of the head.
    landmarks : (7, 3) float64 ndarray
        mm, in the order of `LANDMARKS`; NaN where not known.
    allowed : (16,) uint8 ndarray
        For each code the classes it may be, as bits.
    signal : (I, J, K) float32 ndarray or None
        Intensities of a real scan, kept up to a factor; None where they are painted at random.
    """

    name: str
    person: str
    tissue: npt.NDArray[np.uint8] = field(repr=False)
    regions: npt.NDArray[np.uint8] = field(repr=False)
    affine: Affine
    atlas_to_head: Affine
    landmarks: npt.NDArray[np.float64]
    allowed: npt.NDArray[np.uint8]
    signal: npt.NDArray[np.float32] | None = field(default=None, repr=False)


def allowed_classes(unsure: Mapping[int, tuple[str, ...]] | None = None) -> npt.NDArray[np.uint8]:
    """Make the table from tissue codes to classes, as bits.

    Parameters
    ----------
    unsure : mapping of int to tuple of str, optional
        Codes that may be one of several classes in this label map.

    Returns
    -------
    (16,) uint8 ndarray
    """
    table = np.array([1 << number for number in _CLASS_OF_CODE], np.uint8)
    for code, names in (unsure or {}).items():
        table[code] = sum(1 << CLASSES.index(name) for name in names)
    return table


def save_subject(folder: Path, subject: Subject) -> Path:
    """Keep a subject as ``<name>.npz``."""
    path = folder / f"{subject.name}.npz"
    arrays = {
        "person": np.array(subject.person),
        "tissue": subject.tissue,
        "regions": subject.regions,
        "affine": subject.affine,
        "atlas_to_head": subject.atlas_to_head,
        "landmarks": subject.landmarks,
        "allowed": subject.allowed,
    }
    if subject.signal is not None:
        high = max(float(np.percentile(subject.signal, 99.9)), 1e-6)
        scaled = np.clip(subject.signal * (SCALE / high), -HALF_MOST, HALF_MOST)
        arrays["signal"] = np.nan_to_num(scaled).astype(np.float16)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return path


def load_subject(path: Path) -> Subject:
    """Read a subject written by `save_subject`."""
    with np.load(path) as kept:
        return Subject(
            name=path.stem,
            person=str(kept["person"]),
            tissue=kept["tissue"],
            regions=kept["regions"],
            affine=kept["affine"],
            atlas_to_head=kept["atlas_to_head"],
            landmarks=kept["landmarks"],
            allowed=kept["allowed"],
            signal=kept["signal"].astype(np.float32) if "signal" in kept else None,
        )


def load_subjects(folder: Path) -> list[Subject]:
    """Read all subjects of a folder, sorted by name."""
    return [load_subject(path) for path in sorted(folder.glob("*.npz"))]
