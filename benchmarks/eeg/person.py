"""One head: original and de-identified, their geometry and their forward models."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.fill import fill_air
from anonymi_bids.core.grid import apply_affine, resample, voxel_sizes
from anonymi_bids.core.mask import air_threshold, head_mask
from anonymi_bids.deface.refill import refilled
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.geometry import FIDUCIALS, find_fiducials
from anonymi_bids.head.locate import find_head
from anonymi_bids.head.skull import BONE, INSIDE, outer_skull
from anonymi_bids.model import HeadFit, Image
from anonymi_bids.phantoms.records import Phantom
from benchmarks.common import one_thread, read_json, write_json
from benchmarks.eeg import forward, meshes
from benchmarks.quality import measure
from benchmarks.quality.cases import Case, make

METHODS = ("newface", "blur", "mask", "ml")
NEW_FACES = 6_000_000
BORDER_MM = 3.0
"""Skin this near to the changed region counts as its border, not as scalp outside."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """A head, what is to be measured of it (`PARTS`), and where its results lie."""

    case: Case
    part: str
    heads: Path
    folder: Path
    skull_vertices: int
    scalp_vertices: int
    other_mesh: bool

    @property
    def result(self) -> Path:
        """File of the result."""
        return self.folder / f"{self.case.key}_{self.case.spacing_mm}mm_{self.part}.json"


def run_task(task: Task) -> str:
    """Measure one head; returns one line about it."""
    one_thread()
    clock = time.process_time()
    phantom = make(task.case, task.heads)
    figures = PARTS[task.part](task, phantom)
    figures |= {"name": task.case.name, "kind": task.case.kind, "number": task.case.number}
    figures["cpu_s"] = time.process_time() - clock
    write_json(task.result, figures)
    return f"{task.case.key} {task.part}: {told(figures)}, {figures['cpu_s']:.0f} s"


def told(figures: dict[str, Any]) -> str:
    """The main figures in a few words."""
    if "fiducials" in figures:
        return str({name: entry["found_mm"] for name, entry in figures["fiducials"].items()})
    against = figures["eeg"]["against_original"]
    return ", ".join(f"{name} {entry['rdm_median']:.4f}" for name, entry in against.items())


def fiducials(task: Task, phantom: Phantom) -> dict[str, Any]:
    """Errors of landmarks, the head found in the scan as in a run."""
    place = pose(task, phantom)
    return {"fiducials": fiducial_errors(phantom, stored(phantom), place)}


def models(task: Task, phantom: Phantom) -> dict[str, Any]:
    """Geometry and forward models; the atlas is placed by the true landmarks.

    One threshold of air, the original's, draws all heads: what is bit-identical stays in place.
    """
    place = measure.true_fit(phantom, load_atlas().landmarks)
    image = stored(phantom)
    made = {name: deidentified(image, place, name, task.case) for name in METHODS}
    skull = meshes.skull_of(phantom.labels.data, phantom.labels.affine, task.skull_vertices)
    limit = air_threshold(image.data)
    head = head_mask(image.data, image.affine, threshold=limit)
    after = {
        name: head_mask(data, image.affine, threshold=limit) for name, (data, _) in made.items()
    }
    bones = braincase(phantom, image)
    return {
        "geometry": {
            name: {
                **geometry(image, head, after[name], made[name][1]),
                **reached(image, made[name][0], bones),
            }
            for name in METHODS
        },
        "eeg": eeg(task, phantom, image, head, after, made, skull),
    }


PARTS = {"fiducials": fiducials, "models": models}


def pose(task: Task, phantom: Phantom) -> npt.NDArray[np.float64]:
    """Where the head is found; kept, so that a stopped run need not look again."""
    kept = task.folder / f"{task.case.key}_fit.json"
    if kept.exists():
        return np.array(read_json(kept)["atlas_to_image"])
    fit = find_head(phantom.image, load_atlas(), seed=task.case.seed)
    write_json(kept, {"atlas_to_image": fit.atlas_to_image, "status": fit.status})
    return fit.atlas_to_image


def stored(phantom: Phantom) -> Image:
    """Painted image as int16, as scanners store it."""
    values = np.clip(np.rint(phantom.image.data * measure.GAIN), -32768, 32767)
    return Image(values.astype(np.int16), phantom.image.affine)


def deidentified(
    image: Image, place: HeadFit, method: str, case: Case
) -> tuple[npt.NDArray[np.int16], Mask]:
    """Voxels after a method, and which ones it may have changed."""
    scaled = Image(image.data.astype(np.float32), image.affine)
    rng = np.random.default_rng([case.seed, case.number])
    region, plan = measure.METHODS[method](scaled, place, NEW_FACES + case.number)
    if plan is None:
        return fill_air(image.data, region.removed, region.air, rng), region.removed
    return refilled(image.data, plan, rng), region.removed


def fiducial_errors(
    phantom: Phantom, image: Image, place: npt.NDArray[np.float64]
) -> dict[str, dict[str, float | None]]:
    """Distance of found landmarks, and of the atlas' carried ones, from the true ones, mm."""
    atlas = load_atlas()
    found = find_fiducials(image, atlas, place)
    errors = {}
    for name, mark in FIDUCIALS.items():
        true = getattr(phantom, mark)
        carried = apply_affine(place, atlas.landmarks[mark])
        errors[name] = {
            "found_mm": float(np.linalg.norm(found[name] - true)) if name in found else None,
            "atlas_mm": float(np.linalg.norm(carried - true)),
        }
    return errors


def geometry(image: Image, head: Mask, after: Mask, removed: Mask) -> dict[str, float]:
    """How far the scalp moved outside and inside the changed region."""
    sizes = voxel_sizes(image.affine)
    near = ndimage.distance_transform_edt(~removed, sampling=sizes) <= BORDER_MM
    differ = (head != after) & ~near
    border = head & ~ndimage.binary_erosion(head)
    new_border = after & ~ndimage.binary_erosion(after)
    apart = ndimage.distance_transform_edt(~new_border, sampling=sizes)
    skin, scalp = border & removed, border & ~near
    return {
        "scalp_outside_moved_max_mm": float(apart[scalp].max()) if differ.any() else 0.0,
        "scalp_outside_voxels_changed": int(differ.sum()),
        "skin_moved_mean_mm": float(apart[skin].mean()),
        "skin_moved_p95_mm": float(np.percentile(apart[skin], 95)),
    }


def braincase(phantom: Phantom, image: Image) -> dict[str, Mask]:
    """True tissues within the outer skull, (I, J, K): its bone, and all that lies inside it."""
    labels, affine = phantom.labels.data, phantom.labels.affine
    shape = (image.data.shape[0], image.data.shape[1], image.data.shape[2])
    case = resample(outer_skull(labels, affine), affine, image.affine, shape)
    there = resample(labels, affine, image.affine, shape, order=0)
    return {"bone": case & (there == BONE), "inside": np.isin(there, INSIDE)}


def reached(image: Image, data: npt.NDArray[Any], bones: dict[str, Mask]) -> dict[str, float]:
    """Which voxels of the braincase were changed."""
    changed = data != image.data
    bone = bones["bone"]
    return {
        "braincase_voxels_changed": int((changed & bone).sum()),
        "braincase_share_changed": float((changed & bone).sum() / bone.sum()),
        "inside_voxels_changed": int((changed & bones["inside"]).sum()),
    }


def eeg(
    task: Task,
    phantom: Phantom,
    image: Image,
    head: Mask,
    after: dict[str, Mask],
    made: dict[str, Any],
    skull: meshes.Skull,
) -> dict[str, Any]:
    """Lead fields of the original and of each method on the same electrodes and sources."""
    from scipy.spatial.transform import Rotation

    forward.quiet()
    fiducials = {name: getattr(phantom, name) for name in ("nasion", "lpa", "rpa")}
    count = task.scalp_vertices
    scalp, lifted = meshes.scalp_of(head, image.affine, skull, count)
    points = forward.electrodes(scalp, skull.centre, fiducials)
    places = forward.sources(skull)
    own = forward.lead_field(skull, scalp, places, points)
    against, lifts = {}, {"original": lifted}
    for name, mask in after.items():
        other, lifts[name] = meshes.scalp_of(mask, image.affine, skull, count)
        against[name] = forward.compare(own, forward.lead_field(skull, other, places, points))
    if task.other_mesh:
        turn = Rotation.from_euler("xyz", (20, 30, 50), degrees=True).as_matrix()
        other, _ = meshes.scalp_of(head, image.affine, skull, count, turn)
        against["original, other mesh"] = forward.compare(
            own, forward.lead_field(skull, other, places, points)
        )
    inner = apply_affine(
        np.linalg.inv(image.affine),
        skull.centre + points * (1 - 3 / np.linalg.norm(points, axis=1, keepdims=True)),
    )
    changed = {}
    for name, (_, removed) in made.items():
        near = ndimage.map_coordinates(removed.astype(np.float32), inner.T, order=1) > 0
        changed[name] = [forward.NAMES[i] for i in np.flatnonzero(near)]
    return {
        "against_original": against,
        "electrodes_in_changed_region": changed,
        "lifted_off_the_skull": lifts,
        "n_sources": len(places),
    }
