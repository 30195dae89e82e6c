"""Fill a region with tissue that is nobody's: the scan's own statistics, the atlas' anatomy.

Below the new skin lie skin, fat and muscle as bright as this scan shows them at each depth, and
deeper the atlas' bones, eyes and cavities. Textures are seeded noise with the scan's own spread.
Nothing of the own structure in the region is used but such statistics over all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.fill import air_pool
from anonymi_bids.core.grid import Affine, voxel_sizes
from anonymi_bids.core.mask import bounding_box, distance_mm
from anonymi_bids.phantoms.paint import smooth_noise

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.float32]

BONE, SOFT, EYES, CAVITY = 4, 5, 6, 7
LAYERS_MM = 9.0
"""So deep the layers of skin, fat and muscle follow the new skin."""
BIN_MM = 1.0
ANATOMY_FROM_MM = {BONE: 6.0, EYES: 3.0, CAVITY: 8.0}
"""The atlas' structures are painted from this depth on."""
FADE_MM = 5.0
TEXTURE_MM = (2.5, 7.0)
MOST_SPREAD = 0.12
"""More than this of the median is mixture of tissues, not texture."""
NEAR_MM = 2.0
"""Texture is what changes within about this distance, within the head."""
PLAIN_PERCENT = 10.0
"""The least rough part of a tissue: elsewhere it lies beside another one."""
FEW = 60


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What goes where in a region; the same for every volume of a series.

    Attributes
    ----------
    removed : (I, J, K) bool ndarray
    depth : (I, J, K) float32 ndarray
        Below the new skin, mm.
    own_depth : (I, J, K) float32 ndarray
        Below the old skin, mm, 0 outside.
    labels : (I, J, K) uint8 ndarray
        Atlas labels brought to the image.
    air : (I, J, K) bool ndarray
        Air of the scan that noise may be drawn from.
    head : (I, J, K) bool ndarray
        Own head.
    affine : (4, 4) ndarray
    """

    removed: Mask = field(repr=False)
    depth: Volume = field(repr=False)
    own_depth: Volume = field(repr=False)
    labels: npt.NDArray[np.uint8] = field(repr=False)
    air: Mask = field(repr=False)
    head: Mask = field(repr=False)
    affine: Affine


def refilled(raw: npt.NDArray[Any], plan: Plan, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Replace a region of one volume by a new head and air.

    Parameters
    ----------
    raw : (I, J, K) ndarray
        Stored values, any real dtype.
    plan : Plan
    rng : numpy Generator

    Returns
    -------
    (I, J, K) ndarray
        A copy with the dtype of `raw`; nothing outside the region is touched.
    """
    filled = raw.copy(order="K")
    if not plan.removed.any():
        return filled
    box = bounding_box(plan.removed, 8)
    inner = Plan(
        plan.removed[box],
        plan.depth[box],
        plan.own_depth[box],
        plan.labels[box],
        plan.air[box],
        plan.head[box],
        plan.affine,
    )
    values = np.nan_to_num(raw[box].astype(np.float32), posinf=0.0, neginf=0.0)
    pool = air_pool(raw, plan.air & ~plan.removed)
    dark = np.float32(np.median(pool))
    air = pool[rng.integers(0, pool.size, values.shape)].astype(np.float32)
    tissue = _tissue(values - dark, inner, rng) + dark
    edge = float(voxel_sizes(plan.affine).min())
    share = np.clip(0.5 + inner.depth / edge, 0, 1).astype(np.float32)
    new = share * tissue + (1 - share) * air
    target = filled[box]
    target[inner.removed] = _as_stored(new[inner.removed], raw)
    filled[box] = target
    return filled


def _tissue(values: Volume, plan: Plan, rng: np.random.Generator) -> Volume:
    """Paint tissue everywhere in the box, as bright as the scan's own; air is 0 here."""
    level, spread = _levels(values, plan)
    painted = ndimage.gaussian_filter(level, 0.6)
    painted = _joined(painted, values, plan)
    shape = values.shape
    coarse, fine = TEXTURE_MM[1], TEXTURE_MM[0]
    texture = 0.7 * smooth_noise(shape, plan.affine, coarse, rng)
    texture += 0.6 * smooth_noise(shape, plan.affine, fine, rng)
    texture += 0.35 * rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(painted + spread * texture, np.float32)


def _levels(values: Volume, plan: Plan) -> tuple[Volume, Volume]:
    """Level and spread of every voxel of the new head.

    They are the scan's own medians and spreads by depth below the old skin, and deeper by class
    of the atlas.
    """
    used = plan.removed & plan.head
    bins = np.arange(0, LAYERS_MM + BIN_MM, BIN_MM)
    place = np.clip((plan.own_depth / BIN_MM).astype(int), 0, len(bins) - 1)
    rough = roughness(values, plan.head, plan.affine)

    def told(there: Mask) -> tuple[float, float] | None:
        return _statistics(values[there], rough[there]) if there.sum() >= FEW else None

    fallback = told(used) or (0.0, 0.0)
    layers = []
    for number in range(len(bins)):
        own = used & (place == number) & ~np.isin(plan.labels, (EYES, CAVITY))
        layers.append(told(own) or fallback)
    deep = used & (plan.own_depth > LAYERS_MM)
    classes = {}
    for label in (BONE, SOFT, EYES, CAVITY):
        classes[label] = told(deep & (plan.labels == label)) or layers[-1]

    middle = bins + BIN_MM / 2
    painted = []
    for number in (0, 1):
        heights = np.array([layer[number] for layer in layers])
        out = np.interp(plan.depth.ravel(), middle, heights).reshape(plan.depth.shape)
        out = np.where(plan.depth > LAYERS_MM, classes[SOFT][number], out)
        for label, start in ANATOMY_FROM_MM.items():
            there = (plan.labels == label) & (plan.depth > start)
            out = np.where(there, classes[label][number], out)
        painted.append(out.astype(np.float32))
    return painted[0], painted[1]


def roughness(values: Volume, head: Mask, affine: Affine) -> Volume:
    """Give the standard deviation of what lies in the head within `NEAR_MM` of each voxel.

    Tissues that lie side by side differ; that is no texture. On CT, where air is 1000 units below
    all tissue, their mixture would be a speckle of 100.
    """
    sigma = NEAR_MM / voxel_sizes(affine)
    weight = ndimage.gaussian_filter(head.astype(np.float32), sigma)
    level = float(np.median(values[head])) if head.any() else 0.0
    own = np.where(head, values - level, 0).astype(np.float32)
    share = np.maximum(weight, 1e-3)
    mean = ndimage.gaussian_filter(own, sigma) / share
    square = ndimage.gaussian_filter(own * own, sigma) / share
    return np.sqrt(np.maximum(square - mean * mean, 0)).astype(np.float32)


def _statistics(values: npt.NDArray[np.float32], rough: Volume) -> tuple[float, float]:
    """Median and spread: the least of quartiles', plain roughness' and `MOST_SPREAD`."""
    low, middle, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    plain = float(np.percentile(rough, PLAIN_PERCENT))
    return middle, min((high - low) / 1.349, plain, MOST_SPREAD * abs(middle))


def _joined(painted: Volume, values: Volume, plan: Plan) -> Volume:
    """Let the painting start, where it meets kept tissue, as bright as that tissue is."""
    kept = plan.head & ~plan.removed
    if not kept.any():
        return painted
    sizes = voxel_sizes(plan.affine)
    sigma = 3.0 / sizes
    weight = ndimage.gaussian_filter(kept.astype(np.float32), sigma)
    near = ndimage.gaussian_filter(np.where(kept, values, 0).astype(np.float32), sigma)
    beside = near / np.maximum(weight, 1e-4)
    apart = distance_mm(~kept, sizes)
    fade = np.clip(apart / FADE_MM, 0, 1)
    fade = fade * fade * (3 - 2 * fade)
    fade = np.where(weight > 1e-3, fade, 1)
    return np.asarray(fade * painted + (1 - fade) * beside, np.float32)


def _as_stored(values: Volume, raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Round and clip to what the scan's type can hold, and to its own range."""
    low, high = float(np.nanmin(raw)), float(np.nanmax(raw))
    values = np.clip(values, low, high)
    if raw.dtype.kind in "iu":
        values = np.rint(values)
    return values.astype(raw.dtype)
