"""The outer surface of a scan, found independently of the methods that remove faces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.mask import bounding_box, distance_mm

Mask = npt.NDArray[np.bool_]
Affine = npt.NDArray[np.float64]

CT_LEVELS = (-500.0, -300.0)
CT_SOFT = 200.0
SHELL_MM = 2.5
BALL_MM = 5.0
FAR_MM = 10.0
CUT_MM2 = 3000.0
SMALL_AIR = 0.05
"""Pieces of air smaller than this share of the largest are cavities."""

THIN_MM = 2.0
SMOOTHED_MM = 2.2
"""Across thicker voxels nothing is smoothed."""

BORDER_VOXELS = 3


def voxel_edges(affine: Affine) -> npt.NDArray[np.float64]:
    """Edge lengths of a voxel, (3,) mm."""
    return np.linalg.norm(affine[:3, :3], axis=0)


def is_ct(data: npt.NDArray[np.float32]) -> bool:
    """Whether values are Hounsfield units: air near -1000, and most of what is none near zero.

    So an MR image that was shifted below zero is none, and its air is found as any other's.
    """
    sample = data[::2, ::2, ::2]
    if float(sample.min()) >= -800 or float((sample < -700).mean()) <= 0.05:
        return False
    tissue = np.abs(sample[sample > -700])
    return bool(tissue.size and float((tissue < CT_SOFT).mean()) > 0.5)


def air_levels(data: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Find two grey values above the air: just above its noise, and a tenth of bright tissue.

    The air is read from the darkest of the six sides of the field of view.

    Parameters
    ----------
    data : (I, J, K) float32 ndarray
        Finite values.

    Returns
    -------
    low, high : float
    """
    sample = data[::2, ::2, ::2]
    if is_ct(data):
        return CT_LEVELS
    sides = []
    for axis in range(3):
        width = min(BORDER_VOXELS, data.shape[axis])
        for part in (slice(0, width), slice(data.shape[axis] - width, None)):
            side = np.moveaxis(data, axis, 0)[part]
            low, middle, high = np.percentile(side, (16, 50, 84))
            sides.append((float(middle), float(high - low) / 2))
    middle, spread = min(sides)
    bright = (
        float(np.percentile(sample[sample > middle + 6 * spread], 95))
        if np.any(sample > middle + 6 * spread)
        else float(sample.max())
    )
    bright = max(bright - middle, 1e-12)
    low = middle + min(max(7 * spread, 0.05 * bright), 0.15 * bright)
    return low, max(low, middle + 0.12 * bright)


def over_noise(
    data: npt.NDArray[np.float32], affine: Affine, levels: tuple[float, float]
) -> tuple[float, float]:
    """Lift the lower level over the noise of all air far from the head, up to the higher one.

    A scan that was resampled or masked has corners of zeros beside noisy air.
    """
    low, high = levels
    steps = thinning(affine, 2 * THIN_MM)
    thin = data[:: steps[0], :: steps[1], :: steps[2]]
    away = distance_mm(thin <= high, voxel_edges(affine) * steps)
    far = thin[away > FAR_MM]
    if far.size < 200:
        return levels
    return float(min(max(low, 1.1 * float(np.percentile(far, 98))), high)), high


def solid(data: npt.NDArray[np.float32], affine: Affine, level: float) -> Mask:
    """Head with everything that outer air cannot reach, (I, J, K) bool.

    Outer air is where a ball of `BALL_MM` radius has room, but for small pieces of it; so
    nostrils, ear canals, sinuses and dark bone do not count as surface.
    """
    thin = voxel_edges(affine) < SMOOTHED_MM
    above = ndimage.uniform_filter(data, [3 if small else 1 for small in thin]) > level
    wide = ndimage.binary_opening(above, _cross(thin))
    labels, count = ndimage.label(wide)
    if count == 0:
        return np.zeros(data.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body = labels == int(sizes.argmax())
    body = ndimage.binary_dilation(body, iterations=2) & above
    outer = _spread(_reached(body, affine), body.shape) & ~body
    return ~ndimage.binary_dilation(outer, iterations=4, mask=~body)


def _cross(axes: npt.NDArray[np.bool_]) -> Mask:
    """Neighbours along some of the axes."""
    cross = ndimage.generate_binary_structure(3, 1)
    for axis in np.flatnonzero(~axes):
        cross[tuple([0, 2] if other == axis else slice(None) for other in range(3))] = False
    return cross


def thinning(affine: Affine, spacing_mm: float = THIN_MM) -> npt.NDArray[np.int_]:
    """Every how many voxels a grid of about `spacing_mm` has one, (3,)."""
    return np.maximum(1, np.round(spacing_mm / voxel_edges(affine))).astype(int)


def _reached(body: Mask, affine: Affine) -> Mask:
    """Air that a ball can fill, on the thinned grid; not airways that the border cuts open."""
    steps = thinning(affine)
    thin = body[:: steps[0], :: steps[1], :: steps[2]]
    sizes = voxel_edges(affine) * steps
    pad = [(int(n), int(n)) for n in np.ceil(2 * BALL_MM / sizes) + 1]
    padded = np.pad(thin, pad, mode="edge")
    centres = distance_mm(~padded, sizes) > BALL_MM
    labels, _ = ndimage.label(centres)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    outside = (counts >= SMALL_AIR * counts.max())[labels] & centres
    reached = distance_mm(~outside, sizes) <= BALL_MM
    return reached[tuple(slice(low, -high) for low, high in pad)]


def _spread(thin: Mask, shape: tuple[int, ...]) -> Mask:
    """Repeat each voxel of a thinned mask to fill the full grid."""
    full = thin
    for axis, size in enumerate(shape):
        step = -(-size // full.shape[axis])
        full = np.repeat(full, step, axis=axis)
    return full[: shape[0], : shape[1], : shape[2]]


def shell(body: Mask, affine: Affine, thickness_mm: float = SHELL_MM) -> Mask:
    """Outermost voxels of a body, at least one voxel thick; the edge of the view is no surface."""
    sizes = voxel_edges(affine)
    box = bounding_box(body, 2)
    depth = distance_mm(body[box], sizes)
    result = np.zeros(body.shape, bool)
    result[box] = body[box] & (depth <= max(thickness_mm, float(sizes.min()) * 1.01))
    return result


def inside_view(body: Mask, affine: Affine, border_mm: float) -> Mask:
    """Voxels farther than `border_mm` from where the field of view cuts the head open.

    A side of the field of view that a nose or an ear only touches (less than `CUT_MM2`) cuts
    nothing open, so that what touches it is judged.
    """
    inside = np.ones(body.shape, bool)
    sizes = voxel_edges(affine)
    for axis, (count, size) in enumerate(zip(body.shape, sizes, strict=True)):
        width = int(np.ceil(border_mm / size))
        voxel_mm2 = float(sizes.prod() / size)
        for border, strip in (
            (0, slice(0, width)),
            (count - 1, slice(max(0, count - width), None)),
        ):
            if np.count_nonzero(np.take(body, border, axis=axis)) * voxel_mm2 > CUT_MM2:
                np.moveaxis(inside, axis, 0)[strip] = False
    return inside


def head_coordinate(
    shape: tuple[int, ...], to_atlas: Affine, axis: int
) -> npt.NDArray[np.float32]:
    """One atlas coordinate (mm) of every voxel.

    Parameters
    ----------
    shape : (3,) tuple of int
    to_atlas : (4, 4) ndarray
        Voxel → atlas mm.
    axis : int
        0 right, 1 forward, 2 up.
    """
    row = to_atlas[axis].astype(np.float32)
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    return (row[0] * i + row[1] * j + row[2] * k + row[3]).astype(np.float32)


def bring(
    data: npt.NDArray[np.float32], affine: Affine, to_atlas: Affine, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Interpolate a map of the atlas on the voxels of an image (0 outside the atlas)."""
    matrix = np.linalg.inv(affine) @ to_atlas
    return ndimage.affine_transform(
        data.astype(np.float32, copy=False),
        matrix[:3, :3],
        offset=matrix[:3, 3],
        output_shape=shape,
        order=1,
        cval=0.0,
    )
