"""Geometry that EEG and MEG source models ask for: the skin as a surface, and fiducials.

The skull is in `anonymi_bids.head.skull`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, apply_affine, grid_around, resample, voxel_sizes
from anonymi_bids.core.isosurface import closed_surface
from anonymi_bids.core.mask import dilate_mm, erode_mm, head_mask, largest_component
from anonymi_bids.errors import ImageError
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.model import Image, Surface

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

FEWEST_VOXELS = 500

FIDUCIALS = {"NAS": "nasion", "LPA": "lpa", "RPA": "rpa"}
"""BIDS' names of the landmarks, and the atlas'."""
MIDLINE_MM = (-3.0, -1.5, 0.0, 1.5, 3.0)
PROFILE_MM = 36.0
SEARCH_MM = 14.0
PRIOR_MM = 9.0
"""So far from the atlas' nasion one mm of depth is given up."""
LOOK_MM = 30.0
WALL_MM = 10.0
WALL_GRID_MM = 2.0
EAR_CENTRE_MM, EAR_HALF_MM = np.array([12.0, -15.0, 0.0]), np.array([30.0, 40.0, 48.0])
"""Where the ear is looked for from the atlas' preauricular point, outward, forward, up."""
LEAST_EAR_MM3 = 1000.0
BEFORE_EAR_MM, ABOVE_MIDDLE_MM = 7.1, 0.8
"""From the ear's front edge and middle height to the preauricular point."""
MOST_APART_MM = 20.0
"""A skin point farther than this from the atlas' is not believed."""


def skin_surface(image: Image, *, threshold: float | None = None) -> Surface:
    """Outer skin of a scan: closed, smooth, genus 0, scanner mm.

    Parameters
    ----------
    image : Image
        3-D, any contrast.
    threshold : float, optional
        Air against skin, in the image's units; the image's own if left out.

    Raises
    ------
    ImageError
        If nothing stands out of the air.
    """
    head = head_mask(image.data, image.affine, threshold=threshold)
    if int(head.sum()) < FEWEST_VOXELS:
        raise ImageError("No head stands out of the air, so it has no surface.")
    return Surface(*closed_surface(head, image.affine))


def find_fiducials(image: Image, atlas: Atlas, atlas_to_image: Affine) -> dict[str, Floats]:
    """Nasion and preauricular points on the skin of a scan.

    Parameters
    ----------
    image : Image
        3-D original, with its face.
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray

    Returns
    -------
    dict
        ``NAS``, ``LPA``, ``RPA``: (3,) scanner mm. One that is not found on the skin near the
        atlas' is left out.

    Notes
    -----
    Nasion: the deepest dent of the profile in the middle plane, under its convex hull from nose to
    forehead, less the squared distance from the atlas' nasion. Preauricular points: on the wall of
    the head (its ears taken off by an opening of 10 mm), at half the height of the ear that sticks
    out of it and a little in front of it. No ear, no point.
    """
    head = head_mask(image.data, image.affine)
    if not head.any():
        return {}
    soft = ndimage.gaussian_filter(head.astype(np.float32), 1.0 / voxel_sizes(image.affine))
    to_voxel = np.linalg.inv(image.affine) @ atlas_to_image
    found = {"NAS": _nasion(soft, to_voxel, atlas.landmarks["nasion"])}
    whole, wall, work = _wall(head, image.affine)
    for name in ("LPA", "RPA"):
        start = atlas.landmarks[FIDUCIALS[name]]
        found[name] = _preauricular(whole, wall, work, atlas_to_image, start)
    return {
        name: apply_affine(atlas_to_image, point)
        for name, point in found.items()
        if point is not None
        and np.linalg.norm(point - atlas.landmarks[FIDUCIALS[name]]) <= MOST_APART_MM
    }


def _sampled(volume: npt.NDArray[np.float32], to_voxel: Affine, points: Floats) -> Floats:
    places = np.moveaxis(apply_affine(to_voxel, points), -1, 0)
    return np.asarray(ndimage.map_coordinates(volume, places, order=1), float)


def _last_inside(values: Floats, along: Floats) -> Floats:
    """Where rows of values fall below one half for the last time; NaN where they never do."""
    within = values > 0.5
    last = values.shape[-1] - 1 - np.argmax(within[..., ::-1], axis=-1)
    known = within.any(axis=-1) & (last < values.shape[-1] - 1)
    at = np.minimum(last, values.shape[-1] - 2)[..., None]
    low = np.take_along_axis(values, at, -1)[..., 0]
    high = np.take_along_axis(values, at + 1, -1)[..., 0]
    part = (low - 0.5) / np.maximum(low - high, 1e-6)
    step = along[1] - along[0]
    return np.where(known, along[at[..., 0]] + part * step, np.nan)


def _nasion(soft: npt.NDArray[np.float32], to_voxel: Affine, start: Floats) -> Floats | None:
    heights = start[2] + np.arange(-PROFILE_MM, PROFILE_MM + 0.1, 0.5)
    along = start[1] + np.arange(-LOOK_MM, 2 * LOOK_MM, 0.5)
    x, z, y = np.meshgrid(MIDLINE_MM, heights, along, indexing="ij")
    rows = _last_inside(_sampled(soft, to_voxel, np.stack([x, y, z], axis=-1)), along)
    if np.isnan(rows).any():
        return None
    front = ndimage.gaussian_filter1d(np.median(rows, axis=0), 2.0)
    dent = _hull(heights, front) - front
    away = heights - start[2]
    score = np.where(np.abs(away) <= SEARCH_MM, dent - (away / PRIOR_MM) ** 2, -np.inf)
    best = int(score.argmax())
    return np.array([start[0], front[best], heights[best]])


def _hull(x: Floats, y: Floats) -> Floats:
    """Upper convex hull of a curve, at its own places."""
    kept: list[int] = []
    for i in range(len(x)):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) <= (y[i] - y[a]) * (x[b] - x[a]):
                kept.pop()
            else:
                break
        kept.append(i)
    return np.interp(x, x[kept], y[kept])


def _wall(head: Mask, affine: Affine) -> tuple[Mask, Mask, Affine]:
    """Head and head without ears on a coarse grid; what the image's border cuts goes on there."""
    work, shape = grid_around(head.shape, affine, WALL_GRID_MM)
    coarse = resample(head.astype(np.float32), affine, work, shape) > 0.5
    pad = round(1.5 * WALL_MM / WALL_GRID_MM)
    padded = np.pad(coarse, pad, mode="edge")
    opened = dilate_mm(erode_mm(padded, work, WALL_MM), work, WALL_MM)
    inner = tuple(slice(pad, pad + n) for n in shape)
    return coarse, (opened & padded)[inner], work


def _pinna(ears: Mask, to_atlas: Affine, start: Floats) -> Floats:
    """Voxels of the ear that sticks out beside a preauricular point, (n, 3) atlas mm."""
    places = np.argwhere(ears)
    points = apply_affine(to_atlas, places)
    near = np.abs(points - start - EAR_CENTRE_MM * (np.sign(start[0]), 1, 1)) < EAR_HALF_MM
    chosen = np.zeros(ears.shape, bool)
    chosen[tuple(places[near.all(axis=1)].T)] = True
    return apply_affine(to_atlas, np.argwhere(largest_component(chosen)))


def _preauricular(
    head: Mask, wall: Mask, work: Affine, atlas_to_image: Affine, start: Floats
) -> Floats | None:
    ear = _pinna(head & ~wall, np.linalg.inv(atlas_to_image) @ work, start)
    if len(ear) * WALL_GRID_MM**3 < LEAST_EAR_MM3:
        return None
    y = float(np.percentile(ear[:, 1], 95)) + BEFORE_EAR_MM
    z = float(np.percentile(ear[:, 2], (5, 95)).mean()) + ABOVE_MIDDLE_MM
    side = np.sign(start[0])
    along = np.arange(abs(start[0]) - LOOK_MM, abs(start[0]) + LOOK_MM, 0.5)
    points = np.stack([side * along, np.full(len(along), y), np.full(len(along), z)], axis=-1)
    soft = ndimage.gaussian_filter(wall.astype(np.float32), 0.7)
    out = float(_last_inside(_sampled(soft, np.linalg.inv(work) @ atlas_to_image, points), along))
    return None if np.isnan(out) else np.array([side * out, y, z])
