"""A second brain mask, from the grey values of the image itself.

Classical: grey values levelled against slow shading, a threshold below brain tissue, thin bridges
cut by erosion, the piece that holds the middle of the brain, grown back. It knows nothing of the
region that was removed; the atlas only says where the middle of the brain is and where to stop
looking. It is meant for T1w, T2w, FLAIR, PD, T2*, EPI and CT of living heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.mask import bounding_box, distance_mm
from anonymi_bids.gates.surface import bring, is_ct, voxel_edges
from anonymi_bids.model import Image

Mask = npt.NDArray[np.bool_]
Affine = npt.NDArray[np.float64]
Field = npt.NDArray[np.float32]

SPACING_MM = 2.0
SEED_DEPTH_MM = 14.0
REACH_MM = 15.0
SHADING_MM = 25.0
LOW_SHARE = 0.5
BRIGHT_SHARE = 1.25
"""Brighter than this times nearly all of the deep brain is fat (in T2w the ventricles count)."""

CT_BRAIN = (2.0, 90.0)
OPENINGS_MM = (4.0, 5.0, 6.0, 7.5)
APPENDAGE_MM = 4.0
"""Parts outside the atlas' brain that are thinner than twice this are not brain."""

BEYOND_MM = 5.0
MAX_LEAK = 0.01
MOST_BEYOND = 0.25
"""A child's skull is thin, so its brain may reach far beyond the atlas' brain on all sides."""

MIN_COVER = 0.6
MAX_SKIN_TOUCH = 0.05
MAX_CUT = 0.2
"""Of 12 real heads a child's came to 0.085, balls of gel of 80 to 100 mm to 0.36 to 0.91."""
CUT_MM = 2.5


@dataclass(frozen=True)
class OwnBrain:
    """Brain by grey values.

    Attributes
    ----------
    mask : (I, J, K) bool ndarray
    plausible : bool
        Whether it may be relied on.
    cover : float
        Share of the atlas' brain inside the field of view that it covers.
    leak : float
        Share of it that lies more than `BEYOND_MM` outside the atlas' brain.
    at_skin : float
        Share of it that lies directly below the skin (a brain never does; a ball of gel does).
    cut : float
        Share of its border that no edge in the image made, only the end of where it was looked
        for: a skull stops a brain before, nothing stops a ball of gel.
    """

    mask: Mask
    plausible: bool
    cover: float
    leak: float
    at_skin: float
    cut: float


def find_brain(
    data: Field, affine: Affine, body: Mask, atlas_brain: Image, atlas_to_image: Affine
) -> OwnBrain:
    """Find the brain by grey values.

    Parameters
    ----------
    data : (I, J, K) float32 ndarray
        Finite values, any contrast.
    affine : (4, 4) ndarray
    body : (I, J, K) bool ndarray
        Head, without outer air.
    atlas_brain : Image
        bool, brain and CSF.
    atlas_to_image : (4, 4) ndarray

    Returns
    -------
    OwnBrain
    """
    thin, body_thin, affine_thin = _thinned(data, body, affine)
    to_atlas = np.linalg.inv(atlas_to_image) @ affine_thin
    signed = distance_mm(atlas_brain.data, atlas_brain.voxel_sizes) - distance_mm(
        ~atlas_brain.data, atlas_brain.voxel_sizes
    )
    depth = bring(signed + 1e3, atlas_brain.affine, to_atlas, thin.shape) - 1e3
    sizes = voxel_edges(affine_thin)
    best = _grown(thin, body_thin, depth, sizes)
    if best is None:
        return OwnBrain(np.zeros(data.shape, bool), False, 0.0, 0.0, 0.0, 0.0)
    cover, leak, at_skin = _figures(best, depth, body_thin, sizes)
    cut = _cut(best, depth)
    plausible = (
        cover >= MIN_COVER and leak <= MOST_BEYOND and at_skin <= MAX_SKIN_TOUCH and cut <= MAX_CUT
    )
    return OwnBrain(_back(best, data.shape), plausible, cover, leak, at_skin, cut)


def _thinned(data: Field, body: Mask, affine: Affine) -> tuple[Field, Mask, Affine]:
    """Every n-th voxel of a slightly blurred image, near `SPACING_MM`."""
    steps = _steps(affine)
    blurred = ndimage.uniform_filter(data, steps.tolist()) if steps.max() > 1 else data
    cut = tuple(slice(None, None, int(step)) for step in steps)
    thinned = affine.copy()
    thinned[:3, :3] = affine[:3, :3] * steps
    return blurred[cut], body[cut], thinned


def _steps(affine: Affine) -> npt.NDArray[np.int_]:
    return np.maximum(1, np.round(SPACING_MM / voxel_edges(affine))).astype(int)


def _back(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Nearest neighbour back to the full grid."""
    where = [
        np.minimum(np.round(np.arange(n) / (n / m if n > m else 1)).astype(int), m - 1)
        for n, m in zip(shape, mask.shape, strict=True)
    ]
    return mask[np.ix_(*where)]


def _grown(data: Field, body: Mask, depth: Field, sizes: npt.NDArray[np.float64]) -> Mask | None:
    """Brain on the thin grid, or None if there is nothing to start from."""
    seed = (depth > SEED_DEPTH_MM) & body
    if _count(seed) < 100:
        seed = (depth > SEED_DEPTH_MM / 2) & body
    if _count(seed) < 100:
        return None
    tissue = _tissue(data, body, depth, seed, sizes) & body & (depth > -REACH_MM)
    inner = distance_mm(tissue, sizes)
    tried = []
    for radius in OPENINGS_MM:
        labels, count = ndimage.label(inner > radius)
        hits = np.bincount(labels[seed], minlength=count + 1)
        hits[0] = 0
        if hits.max() == 0:
            break
        core = labels == int(hits.argmax())
        near = distance_mm(~core, sizes) <= radius + 0.5
        leak = _count(tissue & near & (depth < -BEYOND_MM)) / max(1, _count(tissue & near))
        tried.append((leak, tissue & near))
        if leak <= MAX_LEAK:
            break
    if not tried:
        return None
    least = min(leak for leak, _ in tried)
    chosen = next(mask for leak, mask in tried if leak <= least + MAX_LEAK)
    return _trimmed(ndimage.binary_fill_holes(chosen), depth, sizes)


def _trimmed(mask: Mask, depth: Field, sizes: npt.NDArray[np.float64]) -> Mask:
    """Take off what is thin and lies outside the atlas' brain (nerves, muscle, dura)."""
    inner = distance_mm(mask, sizes) > APPENDAGE_MM
    opened = distance_mm(~inner, sizes) <= APPENDAGE_MM + 0.5
    labels, _ = ndimage.label(mask & (opened | (depth > 0)))
    hits = np.bincount(labels[depth > SEED_DEPTH_MM / 2])
    hits[0] = 0
    return labels == int(hits.argmax()) if hits.any() else np.zeros(mask.shape, bool)


def _tissue(
    data: Field, body: Mask, depth: Field, seed: Mask, sizes: npt.NDArray[np.float64]
) -> Mask:
    """Voxels at least half as bright as brain near by; for CT, brain and CSF in HU."""
    if is_ct(data):
        return (data > CT_BRAIN[0]) & (data < CT_BRAIN[1])
    # Shares of a level mean something above the air only, and a shifted image's lies below zero.
    air = data[~body]
    data = data - min(0.0, float(np.median(air)) if air.size else 0.0)
    inside = (body & (depth > 0)).astype(np.float32)
    sigma = SHADING_MM / sizes
    weight = ndimage.gaussian_filter(inside, sigma, truncate=2.5)
    level = ndimage.gaussian_filter(data * inside, sigma, truncate=2.5) / np.maximum(weight, 1e-3)
    middle = float(np.median(data[seed]))
    level = np.where(weight > 0.02, level, middle)
    bright = BRIGHT_SHARE * float(np.percentile(data[seed], 99.5))
    return (data > LOW_SHARE * np.minimum(level, 1.3 * middle)) & (data < bright)


def _figures(
    mask: Mask, depth: Field, body: Mask, sizes: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    expected = (depth > 3) & body
    cover = _count(mask & expected) / max(1, _count(expected))
    n_mask = max(1, _count(mask))
    leak = _count(mask & (depth < -BEYOND_MM)) / n_mask
    box = bounding_box(body, 1)
    below = distance_mm(body[box], sizes) <= 3.0
    at_skin = _count(mask[box] & below) / n_mask
    return float(cover), float(leak), float(at_skin)


def _cut(mask: Mask, depth: Field) -> float:
    """Share of a mask's border that lies where the search ends."""
    border = mask & ~ndimage.binary_erosion(mask)
    return _count(border & (depth < CUT_MM - REACH_MM)) / max(1, _count(border))


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))
