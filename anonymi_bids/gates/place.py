"""Where brow and chin lie on the own profile, found independently of the methods."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

BROW_ABOVE_NASION_MM = 18.0
"""Middle of the brows above the root of the nose."""

MOST_SHIFT_MM = 16.0
TILT = 0.1
"""Rise of the plane through brows and ear openings against the atlas' axes: y by z."""

HALF_WIDTH_MM = 5.0


def up(
    points_y: npt.NDArray[np.float32], points_z: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Height above the plane through the preauricular points that the brows lie parallel to."""
    return (points_z - np.float32(TILT) * points_y).astype(np.float32)


def forward(
    points_y: npt.NDArray[np.float32], points_z: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Distance in front of the preauricular points, along that plane."""
    return (points_y + np.float32(TILT) * points_z).astype(np.float32)


def brow_height(
    body: Mask, to_atlas: Floats, landmarks: Mapping[str, Floats]
) -> tuple[float, bool]:
    """Height of the brows over the plane of `up`, mm, and whether the own nasion was found.

    The profile is the foremost tissue of a strip of 10 mm about the midline. The nasion is where
    it lies deepest behind the line from the foremost point of the nose to the forehead.

    Parameters
    ----------
    body : (I, J, K) bool ndarray
    to_atlas : (4, 4) ndarray
        Voxel → atlas mm.
    landmarks : mapping
        Of the atlas.
    """
    nasion = landmarks["nasion"]
    fallback = float(nasion[2] - TILT * nasion[1]) + BROW_ABOVE_NASION_MM
    ijk = np.argwhere(body & _strip(body.shape, to_atlas))
    if len(ijk) == 0:
        return fallback, False
    mm = ijk @ to_atlas[:3, :3].T + to_atlas[:3, 3]
    heights = np.arange(float(landmarks["nose_tip"][2]) - 25, float(nasion[2]) + 85, 2.0)
    row = np.digitize(mm[:, 2], heights)
    front = np.full(len(heights) + 1, -np.inf)
    np.maximum.at(front, row, mm[:, 1])
    profile = np.where(front[1:] > 40, front[1:], np.nan)
    if np.isfinite(profile).mean() < 0.9:
        return fallback, False
    known = np.isfinite(profile)
    profile = ndimage.gaussian_filter1d(np.interp(heights, heights[known], profile[known]), 1.2)
    tip = int(np.argmax(profile[:26]))
    low, high = tip + 8, min(tip + 33, len(heights) - 1)
    end = min(tip + 38, len(heights) - 1)
    if end - low < 12:
        return fallback, False
    line = np.interp(heights[low:high], heights[[tip, end]], profile[[tip, end]])
    dent = line - profile[low:high]
    best = int(np.argmax(dent))
    found = heights[low + best] + 1.0
    if dent[best] < 2.0 or abs(found - float(nasion[2])) > MOST_SHIFT_MM:
        return fallback, False
    return float(found - TILT * profile[low + best]) + BROW_ABOVE_NASION_MM, True


def _strip(shape: tuple[int, ...], to_atlas: Floats) -> Mask:
    """Voxels near the midline and in front of the middle of the head."""
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    x, y = (
        (row[0] * i + row[1] * j + row[2] * k + row[3]).astype(np.float32) for row in to_atlas[:2]
    )
    return np.asarray((np.abs(x) < HALF_WIDTH_MM) & (y > 40))
