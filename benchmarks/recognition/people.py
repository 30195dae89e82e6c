"""Scans of digital people: two visits, and the first one after each method.

People, seeds and methods are those of ``benchmarks.quality``: both speak of the same heads.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.model import Image
from benchmarks.common import one_thread

METHODS = ("mask", "ml", "newface", "blur")
VISITS = (1, 2)
"""The first is released; of the second the original is known to the attacker."""


@dataclass(frozen=True)
class Scans:
    """What is kept of one person.

    Attributes
    ----------
    images : dict
        ``before``, ``known``, and each method's name → (I, J, K) int16 ndarray.
    affine, place : dict
        By visit: voxel → mm of the image; atlas → mm of the image.
    """

    images: dict[str, npt.NDArray[np.int16]]
    affine: dict[int, npt.NDArray[np.float64]]
    place: dict[int, npt.NDArray[np.float64]]

    def image(self, name: str) -> Image:
        """Image of that name."""
        return Image(self.images[name].astype(np.float32), self.affine[self.visit(name)])

    @staticmethod
    def visit(name: str) -> int:
        """Visit that an image is of."""
        return VISITS[1] if name == "known" else VISITS[0]


@dataclass(frozen=True)
class Task:
    """One person to be scanned; `methods` may be empty.

    With `true_pose` heads are placed by their true landmarks, not by search.
    """

    number: int
    seed: int
    spacing_mm: float
    methods: tuple[str, ...]
    folder: Path
    true_pose: bool = False

    @property
    def path(self) -> Path:
        """Where the scans are kept."""
        return self.folder / f"person-{self.number:03d}.npz"


def run_task(task: Task) -> str:
    """Scan one person and de-identify the first visit by every method."""
    one_thread()
    from anonymi_bids.head.atlas import load_atlas
    from benchmarks.quality import measure
    from benchmarks.quality.cases import Case, make
    from benchmarks.quality.worker import NEW_FACES

    name = f"person-{task.number:03d}"
    kept: dict[str, Any] = {}
    statuses = []
    with tempfile.TemporaryDirectory(prefix="anonymi-bench-") as place:
        for visit in VISITS:
            case = Case("person", task.number, name, "T1w", visit, task.seed, task.spacing_mm)
            phantom = make(case, task.folder)
            path = Path(place) / f"visit-{visit}.nii.gz"
            measure.store(phantom, path)
            known = measure.true_fit(phantom, load_atlas().landmarks) if task.true_pose else None
            fit, _ = measure.find(path, seed=task.seed, known=known)
            kept[f"affine_{visit}"] = phantom.image.affine
            kept[f"place_{visit}"] = fit.atlas_to_image
            stored = np.clip(np.rint(phantom.image.data * measure.GAIN), -32768, 32767)
            kept["known" if visit == VISITS[1] else "before"] = stored.astype(np.int16)
            statuses.append(fit.status)
            for method in task.methods if visit == VISITS[0] else ():
                outcome, _ = measure.deidentify(
                    path,
                    Path(place),
                    fit,
                    method,
                    seed=task.seed,
                    person=NEW_FACES + task.number,
                )
                kept[method] = np.asarray(outcome.after, dtype=np.int16)
    task.folder.mkdir(parents=True, exist_ok=True)
    temporary = task.path.with_suffix(".tmp.npz")
    np.savez(temporary, **kept)
    temporary.replace(task.path)
    return f"{name}: {', '.join(statuses)}"


def read_scans(path: Path) -> Scans:
    """Read what `run_task` kept."""
    with np.load(path) as packed:
        names = [name for name in ("before", "known", *METHODS) if name in packed]
        return Scans(
            {name: packed[name] for name in names},
            {visit: packed[f"affine_{visit}"] for visit in VISITS},
            {visit: packed[f"place_{visit}"] for visit in VISITS},
        )
