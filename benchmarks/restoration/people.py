"""Digital people as surfaces: two visits, three methods, and what the audit sees of each.

The skin of a digital person is filled with the atlas' tissues at 2.5 mm, without noise or shading.
Region and new skin come from the methods' own code; the audit's views are taken of the surface
itself, in the person's true frame, off by about 1.5° and 1.5 mm. No head is searched for, and
nothing is refilled: that is what the quality benchmark's whole images are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import resample
from anonymi_bids.core.shape import similarity
from anonymi_bids.core.surface import voxelise
from anonymi_bids.model import Image
from benchmarks.common import one_thread

Affine = npt.NDArray[np.float64]
Features = dict[str, npt.NDArray[Any]]

LEVELS = ("mesh", "surface")
COHORTS = ("coupled", "uncoupled")
METHODS = ("mask", "newface", "blur")
FIRST_PERSON = 7_000_000
FIRST_FACE = 8_000_000
"""Seeds of people and of new faces; far from each other and from other benchmarks'."""

MM = 2.5
"""Voxels of the surface level, and the grid on which the methods' code lays new skins there."""
AIR_MM = 14.0
TURN_DEG, SHIFT_MM = 1.5, 1.5
"""By how much the attacker's frame is off at each visit, standard deviation."""

SIGNALS = np.array([0, 110, 90, 45, 25, 70, 40, 8, 70, 70], np.float32)
"""Brightness of the atlas' labels 0-9: a T1w image, roughly."""


@dataclass(frozen=True)
class Task:
    """One person of one cohort at one level; what is seen of it goes to `folder`."""

    level: str
    cohort: str
    number: int
    folder: Path

    @property
    def path(self) -> Path:
        """File of the person's views."""
        return self.folder / self.level / self.cohort / f"{self.number:04d}.npz"


def run_task(task: Task) -> str:
    """Make one person's views; returns one line."""
    one_thread()
    from benchmarks.restoration.meshes import mesh_level

    make = mesh_level if task.level == "mesh" else surface_level
    arrays = make(task.number, task.cohort)
    task.path.parent.mkdir(parents=True, exist_ok=True)
    temporary = task.path.with_name(f".{task.path.name}.tmp.npz")
    np.savez_compressed(temporary, **arrays)
    temporary.replace(task.path)
    return f"{task.level} {task.cohort} {task.number}"


def person_of(number: int, cohort: str) -> Any:
    """Draw the person with this number."""
    from anonymi_bids.phantoms.person import make_person

    return make_person(FIRST_PERSON + number, uncoupled=cohort == "uncoupled")


def surface_level(number: int, cohort: str) -> Features:
    """Views of both visits' originals, and of the second visit after each method.

    Returns
    -------
    dict
        ``original1``, ``original2``, ``mask``, ``newface``, ``blur``, each with ``_head`` and
        ``_rest`` as in `anonymi_bids.audit.faces.face_maps`.
    """
    from anonymi_bids.phantoms.visit import visit_skin

    person = person_of(number, cohort)
    rng = np.random.default_rng([91, number, COHORTS.index(cohort)])
    found: Features = {}
    for visit in (1, 2):
        skin = visit_skin(person, rng)
        solid = _Solid(skin)
        frame = frame_of(rng, TURN_DEG, SHIFT_MM)
        found |= named(f"original{visit}", _views(solid.share, solid.affine, frame))
    for method, share in solid.changed(FIRST_FACE + number).items():
        found |= named(method, _views(share, solid.affine, frame))
    return found


def named(name: str, features: Features) -> Features:
    """Features under names that tell the image: ``mask_head``."""
    return {f"{name}_{key}": array for key, array in features.items()}


class _Solid:
    """A skin as voxels, filled with the atlas' tissues."""

    def __init__(self, skin: npt.NDArray[np.float64]) -> None:
        from anonymi_bids.audit.modelheads import model_to_atlas
        from anonymi_bids.head.atlas import load_atlas
        from anonymi_bids.phantoms.library import load_model

        model = load_model()
        self.atlas = load_atlas()
        seen = skin[skin[:, 2] > skin[model.landmarks68[8], 2] - 30]
        low, high = seen.min(axis=0) - AIR_MM, seen.max(axis=0) + AIR_MM
        low[2] += AIR_MM
        self.affine = np.diag([MM, MM, MM, 1.0])
        self.affine[:3, 3] = low
        n = np.ceil((high - low) / MM).astype(int)
        self.shape = (int(n[0]), int(n[1]), int(n[2]))
        self.share = voxelise(model.close(skin), model.closed, self.affine, self.shape)
        steady = model.steady()
        to_person = similarity(model.mean[steady].astype(float), skin[steady])
        self.atlas_to_image = to_person @ np.linalg.inv(model_to_atlas(self.atlas))

    def image(self) -> Image:
        """Give what a scanner without noise would see."""
        labels = resample(
            self.atlas.labels.data,
            self.atlas.labels.affine,
            self.affine,
            self.shape,
            order=0,
            source_to_target=self.atlas_to_image,
        )
        inside = SIGNALS[np.where(labels == 0, 5, labels)]
        rng = np.random.default_rng(0)
        noise = np.abs(rng.normal(0, 0.5, self.shape)).astype(np.float32)
        return Image(self.share * ndimage.gaussian_filter(inside, 0.5) + noise, self.affine)

    def changed(self, face: int) -> dict[str, npt.NDArray[np.float32]]:
        """Share inside after each method."""
        from anonymi_bids.core.mask import head_mask
        from anonymi_bids.deface import newskin
        from anonymi_bids.deface.mask import build_region
        from anonymi_bids.settings import DefaceSettings

        # Its own 1.5 mm would cost five times as much; the voxel level uses them.
        newskin.WORK_MM = MM
        image = self.image()
        place = (self.atlas, self.atlas_to_image)
        region = build_region(image, *place, brain_margin_mm=5.0, ears=True)
        found = {"mask": np.where(region.removed, 0, self.share)}
        head = head_mask(image.data, self.affine)
        for style in ("newface", "blur"):
            skin = newskin.new_skin(
                head,
                self.affine,
                region.removed,
                *place,
                style=style,
                smooth_mm=DefaceSettings().blur_mm,
                rng=np.random.default_rng(face),
            )
            new = np.clip(0.5 + skin.depth / MM, 0, 1)
            found[style] = np.where(region.removed, new, self.share).astype(np.float32)
        return found


def frame_of(rng: np.random.Generator, turn_deg: float, shift_mm: float) -> Affine:
    """Audit's head frame → the person's mm: the atlas' axes, off by a small turn and shift."""
    from scipy.spatial.transform import Rotation

    from anonymi_bids.audit.faces import rigid_part
    from anonymi_bids.audit.modelheads import model_to_atlas
    from anonymi_bids.head.atlas import load_atlas

    rigid = rigid_part(np.linalg.inv(model_to_atlas(load_atlas())), (0, 0, 0))
    error = np.eye(4)
    turn = rng.normal(0, turn_deg, 3)
    error[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    error[:3, 3] = rng.normal(0, shift_mm, 3)
    return rigid @ error


def _views(share: npt.NDArray[Any], affine: Affine, frame: Affine) -> Features:
    from anonymi_bids.audit.faces import head_views
    from anonymi_bids.head.atlas import load_atlas

    head, rest = head_views(share, affine, frame, load_atlas())
    return {"head": head.astype(np.float16), "rest": rest.astype(np.float16)}
