"""See a head from outside: depth of the first surface along parallel rays, and shaded pictures.

The viewer looks at the head in the head's own frame (mm; x to the head's right, y forward, z up;
origin between the preauricular points). A picture's rows run downwards; its columns run to the
viewer's right, which is the head's left when seen from the front.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine, voxel_sizes

Depth = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

STEP_MM = 2.0
"""Thinnest head that a ray is sure to meet."""

_BISECTIONS = 3
_CHUNK = 1_000_000


def view_direction(azimuth: float, elevation: float = 0.0) -> Vector:
    """Direction in which the viewer looks, a unit vector (3,).

    Parameters
    ----------
    azimuth : float
        Degrees round the head: 0 in front of it, 90 at its right ear, −90 at its left.
    elevation : float
        Degrees above the horizon; 90 above the vertex.
    """
    across, above = np.deg2rad(azimuth), np.deg2rad(elevation)
    place = [np.sin(across) * np.cos(above), np.cos(across) * np.cos(above), np.sin(above)]
    return -np.array(place)


def picture_axes(direction: npt.ArrayLike) -> tuple[Vector, Vector, Vector]:
    """Axes of the picture in the head frame: viewer's right, up, and towards the viewer."""
    towards = -np.asarray(direction, dtype=np.float64)
    towards /= np.linalg.norm(towards)
    pole = np.array([0.0, 0.0, 1.0])
    if abs(towards @ pole) > 0.999:
        pole = np.array([0.0, 1.0, 0.0])
    right = np.cross(pole, towards)
    right /= np.linalg.norm(right)
    return right, np.asarray(np.cross(towards, right), dtype=np.float64), towards


def picture_points(
    direction: npt.ArrayLike,
    spacing_mm: float,
    extent_mm: tuple[tuple[float, float], tuple[float, float]],
) -> tuple[npt.NDArray[np.float64], Vector]:
    """Points of a picture's pixels on the plane through the head's origin.

    Returns
    -------
    points : (rows, columns, 3) ndarray
        Head frame, mm.
    towards : (3,) ndarray
        Unit vector towards the viewer.
    """
    right, up, towards = picture_axes(direction)
    (left_mm, right_mm), (low_mm, high_mm) = extent_mm
    columns = left_mm + spacing_mm * (np.arange(round((right_mm - left_mm) / spacing_mm)) + 0.5)
    rows = high_mm - spacing_mm * (np.arange(round((high_mm - low_mm) / spacing_mm)) + 0.5)
    return columns[None, :, None] * right + rows[:, None, None] * up, towards


def depth_map(
    mask: npt.NDArray[Any],
    affine: npt.NDArray[np.float64],
    head_to_image: npt.NDArray[np.float64],
    direction: npt.ArrayLike,
    spacing_mm: float,
    extent_mm: tuple[tuple[float, float], tuple[float, float], tuple[float, float]],
    *,
    step_mm: float = STEP_MM,
) -> Depth:
    """Find the first surface that parallel rays meet.

    Parameters
    ----------
    mask : (I, J, K) ndarray
        bool, or float share of each voxel inside; the surface lies at 0.5.
    affine : (4, 4) ndarray
        Voxel → mm of the image.
    head_to_image : (4, 4) ndarray
        Head frame mm → mm of the image; rigid, or sizes are not true.
    direction : (3,) array_like
        Where the viewer looks, head frame (`view_direction`).
    spacing_mm : float
        Size of a pixel.
    extent_mm : three pairs of float
        From–to along the viewer's right, upwards and towards the viewer; the last is how far from
        the head's origin rays end and begin.
    step_mm : float
        Rays are followed in steps of this size; the surface is then found between two of them.

    Returns
    -------
    (rows, columns) float32 ndarray
        Distance of the surface from the head's origin towards the viewer, mm; NaN where the ray
        meets nothing, or meets the head only where the image's field of view cuts it.
    """
    points, towards = picture_points(direction, spacing_mm, extent_mm[:2])
    far, near = extent_mm[2]
    to_voxel = np.linalg.inv(affine) @ head_to_image
    start = apply_affine(to_voxel, points + near * towards).reshape(-1, 3)
    step = -step_mm * (to_voxel[:3, :3] @ towards)
    field = np.asarray(mask, dtype=np.float32)
    count = int(np.ceil((near - far) / step_mm)) + 1
    depth = np.full(len(start), np.nan, dtype=np.float32)
    rays = max(1, _CHUNK // count)
    for first in range(0, len(start), rays):
        steps = _first_crossing(field, start[first : first + rays], step, count)
        depth[first : first + rays] = near - step_mm * steps
    return depth.reshape(points.shape[:2])


def _first_crossing(
    field: npt.NDArray[np.float32], start: npt.NDArray[np.float64], step: Vector, count: int
) -> npt.NDArray[np.float64]:
    """Count steps until each ray first meets 0.5; NaN for a miss or the image's border."""
    places = start[:, None, :] + np.arange(count)[:, None] * step
    values = ndimage.map_coordinates(
        field, places.reshape(-1, 3).T, order=1, mode="constant", cval=0.0
    ).reshape(len(start), count)
    inside = values >= 0.5
    hit = inside.argmax(axis=1)
    rows = np.arange(len(start))
    found = inside[rows, hit] & (hit > 0)
    before, after = np.maximum(hit - 1, 0).astype(np.float64), hit.astype(np.float64)
    low, high = values[rows, np.maximum(hit - 1, 0)], values[rows, hit]
    for _ in range(_BISECTIONS):
        middle = (before + after) / 2
        value = ndimage.map_coordinates(
            field, (start + middle[:, None] * step).T, order=1, mode="constant", cval=0.0
        )
        beyond = value >= 0.5
        after, high = np.where(beyond, middle, after), np.where(beyond, value, high)
        before, low = np.where(beyond, before, middle), np.where(beyond, low, value)
    crossing = before + (after - before) * (0.5 - low) / np.maximum(high - low, 1e-6)
    # A ray that is inside the head as soon as it is inside the image met a cut, not a surface.
    entered = start + before[:, None] * step
    within = ((entered >= 0) & (entered <= np.array(field.shape) - 1)).all(axis=1)
    return np.where(found & within, crossing, np.nan)


def soften(mask: npt.NDArray[np.bool_], affine: npt.NDArray[np.float64]) -> Depth:
    """Turn a mask into a share that runs from 1 to 0 across its border, so that depth is smooth.

    Parameters
    ----------
    mask : (I, J, K) bool ndarray
    affine : (4, 4) ndarray

    Returns
    -------
    (I, J, K) float32 ndarray
    """
    sigma = np.clip(0.8 / voxel_sizes(affine), 0.0, 0.8)
    return ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest")


def shade(
    depth: Depth,
    spacing_mm: float,
    *,
    light: tuple[float, float, float] = (0.3, 0.5, 1.0),
    background: int = 0,
) -> npt.NDArray[np.uint8]:
    """Draw a depth map as a grey picture lit from one side (matt surface).

    Parameters
    ----------
    depth : (rows, columns) ndarray
        From `depth_map`; NaN becomes background.
    spacing_mm : float
    light : (3,) tuple of float
        Where the light comes from: viewer's right, up, towards the viewer.
    background : int
        Grey of what was missed.

    Returns
    -------
    (rows, columns) uint8 ndarray
    """
    missed = ~np.isfinite(depth)
    if missed.all():
        return np.full(depth.shape, background, dtype=np.uint8)
    nearest = ndimage.distance_transform_edt(missed, return_distances=False, return_indices=True)
    filled = depth[tuple(nearest)]
    down, across = np.gradient(filled, spacing_mm)
    normal = np.stack([-across, down, np.ones_like(filled)])
    normal /= np.linalg.norm(normal, axis=0)
    lamp = np.asarray(light) / np.linalg.norm(light)
    grey = 0.15 + 0.85 * np.clip(np.tensordot(lamp, normal, axes=1), 0, 1)
    picture = np.round(255 * grey).astype(np.uint8)
    picture[missed] = background
    return picture
