"""What the image itself says about the places that the atlas only knows within some mm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, apply_affine
from anonymi_bids.core.mask import distance_mm, head_mask, is_ct
from anonymi_bids.model import Image

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MAX_NASION_SHIFT_MM = 18.0
NASION_VOXEL_MM = 2.0
MIDLINE_MM = (-6.0, -3.0, 0.0, 3.0, 6.0)

OUTWARD_MM = 14
INWARD_MM = 12
EDGE_SHARE = 0.55
BRIGHT_SHARE = 1.25
"""Brighter than this times nearly all of the inside is fat."""

DARK_MM = 1
NEIGHBOUR_MM = 12.0
UPPER_QUANTILE = 80
MOST_OUT_MM = 13.0
MOST_IN_MM = 5.0
COARSE_STEP = 2
CSF_MM = 1.5
"""Added to the edge: CSF that is as dark as bone (T1w, FLAIR) belongs to what is protected."""
CT_BRAIN_HU = (-15.0, 100.0)


@dataclass(frozen=True, slots=True)
class Nasion:
    """Shift of the own nasion against the atlas', atlas mm.

    Attributes
    ----------
    up, forward : float
        0 if it was not found.
    found : bool
    """

    up: float
    forward: float
    found: bool


def find_nasion(
    head: Mask, affine: Affine, atlas_to_image: Affine, landmarks: Mapping[str, Floats]
) -> Nasion:
    """Find the root of the nose on the own profile.

    Parameters
    ----------
    head : (I, J, K) bool ndarray
    affine : (4, 4) ndarray
    atlas_to_image : (4, 4) ndarray
    landmarks : mapping
        Of the atlas.

    Returns
    -------
    Nasion
    """
    nasion, tip = landmarks["nasion"], landmarks["nose_tip"]
    z = np.asarray(np.arange(float(tip[2]) - 30, float(nasion[2]) + 75), dtype=np.float64)
    front = _profile(head, np.linalg.inv(affine) @ atlas_to_image, z)
    known = np.isfinite(front)
    if np.count_nonzero(known) < 60:
        return Nasion(0.0, 0.0, False)
    smooth = ndimage.gaussian_filter1d(np.interp(z, z[known], front[known]), 2.0)
    front = np.where(known, smooth, np.nan)
    nose = (z > tip[2] - 25) & (z < tip[2] + 25) & np.isfinite(front)
    if np.count_nonzero(nose) < 45:
        return Nasion(0.0, 0.0, False)
    z_tip = float(z[nose][np.argmax(front[nose])])
    z_end = z_tip + 75
    search = (z > z_tip + 15) & (z < z_tip + 65)
    if z_end > z[-1] or not np.isfinite(front[(z >= z_tip) & (z <= z_end)]).all():
        return Nasion(0.0, 0.0, False)
    ends = np.interp([z_tip, z_end], z, front)
    dent = np.interp(z[search], [z_tip, z_end], ends) - front[search]
    at = int(np.argmax(dent))
    up = float(z[search][at]) - float(nasion[2])
    forward = float(front[search][at]) - float(nasion[1])
    found = dent[at] > 2.0 and abs(up) <= MAX_NASION_SHIFT_MM and 0 < at < len(dent) - 1
    return Nasion(up, forward, True) if found else Nasion(0.0, 0.0, False)


def nasion_of(image: Image, atlas_to_image: Affine, landmarks: Mapping[str, Floats]) -> Nasion:
    """Find the root of the nose on the session's reference, for images that do not show it.

    Parameters
    ----------
    image : Image
        3-D, any contrast; looked at with voxels of up to `NASION_VOXEL_MM`.
    atlas_to_image : (4, 4) ndarray
    landmarks : mapping
        Of the atlas.

    Returns
    -------
    Nasion
        In atlas mm, so that it holds for every image to which the head was carried.
    """
    steps = np.maximum(1, np.floor(NASION_VOXEL_MM / image.voxel_sizes)).astype(int)
    data = image.data[:: steps[0], :: steps[1], :: steps[2]]
    affine = image.affine @ np.diag([*steps.astype(float), 1.0])
    return find_nasion(head_mask(data, affine), affine, atlas_to_image, landmarks)


def _profile(head: Mask, to_voxel: Affine, z: Floats) -> Floats:
    """Front of the head in the middle (atlas y, mm) at each height; NaN where it is not seen.

    A nose that the field of view cuts ends at the cut.
    """
    y = np.arange(30.0, 160.0)
    x, yy, zz = np.meshgrid(np.array(MIDLINE_MM), y, z, indexing="ij")
    ijk = np.rint(apply_affine(to_voxel, np.stack([x, yy, zz], axis=-1))).astype(int)
    seen = ((ijk >= 0) & (ijk < head.shape)).all(axis=-1)
    ijk = np.clip(ijk, 0, np.array(head.shape) - 1)
    inside = head[ijk[..., 0], ijk[..., 1], ijk[..., 2]] & seen
    last = inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
    front = np.where(inside.any(axis=1), y[last], np.nan)
    enough = np.isfinite(front).sum(axis=0) >= 3
    middle = np.full(len(z), np.nan)
    middle[enough] = np.nanmedian(front[:, enough], axis=0)
    return middle


@dataclass(frozen=True, slots=True)
class OwnBrain:
    """Distance to the brain, corrected by the image.

    Attributes
    ----------
    distance : Image
        float32 on a coarse atlas grid: mm outside the brain's surface, negative inside.
    seen : float
        Share of the brain's surface in the field of view where its edge was found.
    offset_mm : float
        Median distance of the own edge to the atlas' edge, positive outward.
    offset_most_mm : float
        The same, 95th percentile of its size.
    """

    distance: Image
    seen: float
    offset_mm: float
    offset_most_mm: float


def fit_brain(image: Image, brain: Image, atlas_to_image: Affine) -> OwnBrain:
    """Move the atlas brain's surface along its normals to where the own brain ends.

    From each point of the surface grey values are read from 12 mm inside to 14 mm outside. The
    brain ends where they first stay below half of what they are inside (skull; in T1w and FLAIR
    CSF): in CT where they leave the range of soft tissue. The upper quantile of neighbours is
    taken, so that sulci do not count, and smoothed.

    Parameters
    ----------
    image : Image
    brain : Image
        bool, on the atlas grid.
    atlas_to_image : (4, 4) ndarray

    Returns
    -------
    OwnBrain
    """
    coarse, affine = _signed_distance(brain)
    points, normals = _surface(coarse, affine)
    values, seen = _profiles(image, atlas_to_image, points, normals)
    offset, found = _edges(values, seen)
    if np.count_nonzero(found) < 200:
        return OwnBrain(Image(coarse, affine), 0.0, 0.0, 0.0)
    smooth = _smoothed(points, offset, found)
    moved = coarse - _everywhere(coarse.shape, affine, points, smooth + CSF_MM)
    return OwnBrain(
        Image(moved.astype(np.float32), affine),
        float(found.sum() / max(1, int(seen.all(axis=1).sum()))),
        float(np.median(offset[found])),
        float(np.percentile(np.abs(smooth[found]), 95)),
    )


def _signed_distance(brain: Image) -> tuple[npt.NDArray[np.float32], Affine]:
    step = COARSE_STEP
    data = brain.data[::step, ::step, ::step]
    affine = brain.affine @ np.diag([step, step, step, 1.0])
    sizes = brain.voxel_sizes * step
    outside = distance_mm(~data, sizes)
    inside = distance_mm(data, sizes)
    half = float(sizes.mean()) / 2
    signed = np.where(data, half - inside, outside - half)
    return ndimage.gaussian_filter(signed, 0.7).astype(np.float32), affine


def _surface(signed: npt.NDArray[np.float32], affine: Affine) -> tuple[Floats, Floats]:
    """Points on the surface (atlas mm) and outward unit normals."""
    ijk = np.argwhere(np.abs(signed) < 1.5)
    gradient = np.stack(
        [np.gradient(signed, axis=axis)[tuple(ijk.T)] for axis in range(3)], axis=1
    ).astype(np.float64)
    gradient /= np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-6)
    points = apply_affine(affine, ijk)
    points -= gradient * signed[tuple(ijk.T)][:, None]
    return points, gradient


def _profiles(
    image: Image, atlas_to_image: Affine, points: Floats, normals: Floats
) -> tuple[npt.NDArray[np.float32], Mask]:
    """Grey values along the normals, (n, steps), and which of them lie in the field of view."""
    steps = np.arange(-INWARD_MM, OUTWARD_MM + 1)
    places = points[:, None] + steps[None, :, None] * normals[:, None]
    to_voxel = np.linalg.inv(image.affine) @ atlas_to_image
    where = apply_affine(to_voxel, places.reshape(-1, 3)).T
    data = np.nan_to_num(np.asarray(image.data, dtype=np.float32), posinf=0.0, neginf=0.0)
    if is_ct(data):
        data = ((data > CT_BRAIN_HU[0]) & (data < CT_BRAIN_HU[1])).astype(np.float32)
    else:
        # Shares of a level mean something above the air only; a shifted image's lies below zero.
        data = data - np.float32(min(0.0, float(np.percentile(data[::4, ::4, ::4], 5))))
    sigma = np.maximum(0.0, 0.4 * (1.5 / image.voxel_sizes - 1))
    if sigma.max() > 0.1:
        data = ndimage.gaussian_filter(data, sigma)
    values = ndimage.map_coordinates(data, where, order=1, mode="nearest")
    limits = np.array(image.data.shape)[:, None] - 0.5
    seen = ((where >= -0.5) & (where <= limits)).all(axis=0)
    shape = (len(points), len(steps))
    return values.reshape(shape).astype(np.float32), seen.reshape(shape)


def _edges(values: npt.NDArray[np.float32], seen: Mask) -> tuple[Floats, Mask]:
    """Where each profile leaves the brain (mm, positive outward), and whether it does."""
    inner = values[:, : INWARD_MM - 3]
    known = np.atleast_1d(seen[:, : INWARD_MM - 3].all(axis=1))
    if not known.any():
        return np.zeros(len(values)), known
    typical = float(np.median(inner[known]))
    level = np.clip(np.percentile(inner, 65, axis=1), 0.6 * typical, 1.5 * typical)
    bright = BRIGHT_SHARE * float(np.percentile(inner[known], 99))
    dark = (values < EDGE_SHARE * level[:, None]) | (values > bright)
    lasting = dark[:, : dark.shape[1] - DARK_MM].copy()
    for later in range(1, DARK_MM + 1):
        lasting &= dark[:, later : dark.shape[1] - DARK_MM + later]
    lasting[:, : INWARD_MM - 8] = False
    first = np.argmax(lasting, axis=1)
    found = known & np.atleast_1d(lasting.any(axis=1))
    offset: Floats = np.where(found, first - INWARD_MM - 0.5, 0.0).astype(np.float64)
    return offset, found


def _smoothed(points: Floats, offset: Floats, found: Mask) -> Floats:
    """Upper quantile of the offsets near each point, then a mean of those; limited."""
    from scipy.spatial import cKDTree

    known = points[found]
    values = np.clip(offset[found], -MOST_IN_MM, MOST_OUT_MM)
    tree = cKDTree(known)
    centres = known[:: max(1, len(known) // 1500)]
    near = tree.query_ball_point(centres, NEIGHBOUR_MM)
    upper = np.array([np.percentile(values[group], UPPER_QUANTILE) for group in near])
    distance, index = cKDTree(centres).query(points, k=min(12, len(centres)))
    weight = np.exp(-0.5 * (distance / (NEIGHBOUR_MM / 2)) ** 2) + 1e-12
    smooth = (weight * upper[index]).sum(axis=1) / weight.sum(axis=1)
    # Far from every point whose edge was seen nothing is known, and the atlas stays.
    return np.asarray(np.where(distance[:, 0] < 2 * NEIGHBOUR_MM, smooth, 0.0), dtype=np.float64)


def _everywhere(
    shape: tuple[int, ...], affine: Affine, points: Floats, values: Floats
) -> npt.NDArray[Any]:
    """Spread values on the surface to the whole grid: nearest point, then smoothed."""
    to_voxel = np.asarray(np.linalg.inv(affine), dtype=np.float64)
    ijk = np.rint(apply_affine(to_voxel, points)).astype(int)
    ijk = np.clip(ijk, 0, np.array(shape) - 1)
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, tuple(ijk.T), values)
    np.add.at(count, tuple(ijk.T), 1)
    field = total / np.maximum(count, 1)
    empty: Any = count == 0
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    return ndimage.gaussian_filter(field[tuple(nearest)], 1.5)
