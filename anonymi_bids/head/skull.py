"""The outer skull: where the scan shows it, and the atlas' where it does not.

What the network and the image together call brain, CSF and bone (`anonymi_bids.head.refine`) is
closed to a braincase. Slices too thick to show the bone, an unsure network, or a braincase unlike
that of the atlas brought to the scan: then the atlas' own is taken, which shows where a skull of
this size and pose lies on average.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import Affine, apply_affine, resample
from anonymi_bids.core.isosurface import closed_surface
from anonymi_bids.core.mask import dilate_mm, erode_mm, fill_holes, largest_component
from anonymi_bids.head.atlas import Atlas, load_atlas
from anonymi_bids.head.find import SURE_SIGHT
from anonymi_bids.head.network import CLASSES
from anonymi_bids.head.refine import Tissues, tissues_of
from anonymi_bids.head.sight import see_head
from anonymi_bids.model import Image, Surface

Mask = npt.NDArray[np.bool_]

INSIDE = (1, 2, 3, 9)
BONE = 4
BONE_REACH_MM = 14.0
"""Bone farther from brain and CSF than this belongs to the face."""
CLOSE_MM, OPEN_MM = 8.0, 6.0

THICKEST_MM = 3.5
"""Thicker slices do not show the bone."""
LEAST_ALIKE = 0.9
"""Dice of the scan's braincase with the atlas' from which on it is believed."""
AS_LABELS = {"brain": 1, "csf": 2, "bone": BONE}

From = Literal["scan", "atlas"]


def skull_of_scan(
    image: Image, atlas: Atlas, atlas_to_image: Affine, model: Any
) -> tuple[Surface, From]:
    """Outer skull of a scan: closed, smooth, genus 0, scanner mm; and where it is from.

    Parameters
    ----------
    image : Image
        3-D original, any contrast.
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray
    model : onnxruntime session
    """
    if float(image.voxel_sizes.max()) <= THICKEST_MM:
        sight = see_head(image, atlas, model, start=atlas_to_image)
        if sight.confidence >= SURE_SIGHT:
            tissues = tissues_of(image, sight.seen)
            case = braincase(tissues)
            if _alike(case, tissues.affine, atlas_to_image) >= LEAST_ALIKE:
                return Surface(*closed_surface(case, tissues.affine)), "scan"
    return skull_surface(atlas_to_image), "atlas"


def braincase(tissues: Tissues) -> Mask:
    """All within the outer table of a scan's braincase, on the grid of its tissues."""
    labels = np.zeros(len(CLASSES), np.uint8)
    for name, label in AS_LABELS.items():
        labels[CLASSES.index(name)] = label
    return outer_skull(labels[tissues.labels], tissues.affine)


def _alike(case: Mask, affine: Affine, atlas_to_image: Affine) -> float:
    """Dice of a braincase with the atlas' brought there."""
    labels = load_atlas().labels
    shape = (case.shape[0], case.shape[1], case.shape[2])
    brought = resample(
        _atlas_case().astype(np.float32),
        labels.affine,
        affine,
        shape,
        source_to_target=atlas_to_image,
    )
    other = brought > 0.5
    return 2 * float((case & other).sum()) / max(float(case.sum() + other.sum()), 1.0)


def skull_surface(atlas_to_image: Affine) -> Surface:
    """Outer skull of the atlas, brought to a scan: closed, smooth, genus 0, scanner mm."""
    skull = _atlas_skull()
    triangles = skull.triangles
    if np.linalg.det(atlas_to_image[:3, :3]) < 0:
        triangles = triangles[:, ::-1].copy()
    return Surface(apply_affine(atlas_to_image, skull.vertices), triangles)


@functools.cache
def _atlas_skull() -> Surface:
    return Surface(*closed_surface(_atlas_case(), load_atlas().labels.affine))


@functools.cache
def _atlas_case() -> Mask:
    labels = load_atlas().labels
    return outer_skull(labels.data, labels.affine)


def outer_skull(labels: npt.NDArray[np.integer], affine: Affine) -> Mask:
    """All that lies within the outer table of the braincase, from labels.

    Parameters
    ----------
    labels : (I, J, K) int ndarray
        As in the atlas: 1, 2, 3, 9 brain and CSF, 4 bone.
    affine : (4, 4) ndarray

    Returns
    -------
    (I, J, K) bool ndarray
        One piece, without the bones of the face and the jaw.
    """
    inside = largest_component(np.isin(labels, INSIDE))
    case = inside | ((labels == BONE) & dilate_mm(inside, affine, BONE_REACH_MM))
    case = fill_holes(erode_mm(dilate_mm(case, affine, CLOSE_MM), affine, CLOSE_MM) | case)
    opened = dilate_mm(erode_mm(case, affine, OPEN_MM), affine, OPEN_MM)
    return largest_component((opened & case) | inside)
