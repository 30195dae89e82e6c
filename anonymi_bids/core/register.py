"""What registration needs that is plain algebra: coarse grids, similarity, motions taken apart."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from anonymi_bids.core.grid import Affine, apply_affine, resample, voxel_sizes


def inverse(matrix: Affine) -> Affine:
    """Inverse of a 4×4 matrix, float64."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def coarse_grid(
    shape: tuple[int, ...], affine: Affine, spacing_mm: float, *, margin_mm: float = 0.0
) -> tuple[Affine, tuple[int, int, int]]:
    """Isotropic, orthogonal, right-handed grid near RAS order that covers a field of view.

    Parameters
    ----------
    shape : tuple of int
        Of the image to be covered.
    affine : (4, 4) ndarray
        Its voxel → mm; may be sheared, left-handed, in any axis order.
    spacing_mm : float
    margin_mm : float
        Added on every side.

    Returns
    -------
    affine : (4, 4) ndarray
    shape : (3,) tuple of int
    """
    left, _, right = np.linalg.svd(affine[:3, :3] / voxel_sizes(affine))
    axes = left @ right
    # Order and sign of the columns that bring each axis next to R, A and S.
    best = max(
        itertools.permutations(range(3)), key=lambda p: sum(abs(axes[i, p[i]]) for i in range(3))
    )
    axes = axes[:, list(best)] * np.sign([axes[i, best[i]] for i in range(3)])
    corners = np.array(list(itertools.product(*[(-0.5, n - 0.5) for n in shape[:3]])))
    inside = apply_affine(affine, corners) @ axes
    low, high = inside.min(axis=0) - margin_mm, inside.max(axis=0) + margin_mm
    counts = np.maximum(1, np.ceil((high - low) / spacing_mm - 1e-3)).astype(int)
    grid = np.eye(4)
    grid[:3, :3] = axes * spacing_mm
    grid[:3, 3] = axes @ ((low + high) / 2 - (counts - 1) / 2 * spacing_mm)
    return grid, (int(counts[0]), int(counts[1]), int(counts[2]))


def coarsen(
    data: npt.NDArray[Any],
    affine: Affine,
    target_affine: Affine,
    target_shape: tuple[int, int, int],
    *,
    cval: float = 0.0,
) -> npt.NDArray[np.float32]:
    """Resample onto a coarser grid, smoothed before so that nothing is aliased.

    Parameters
    ----------
    data : (I, J, K) ndarray
        Finite values.
    affine, target_affine : (4, 4) ndarray
        Voxel → mm, in one space.
    target_shape : (3,) tuple of int
    cval : float
        Value outside the source.

    Returns
    -------
    (target_shape) float32 ndarray
    """
    ratio = float(voxel_sizes(target_affine).mean()) / voxel_sizes(affine)
    sigma = 0.45 * np.sqrt(np.maximum(ratio**2 - 1, 0))
    smooth = ndimage.gaussian_filter(np.asarray(data, np.float32), sigma, truncate=2.5)
    return resample(smooth, affine, target_affine, target_shape, cval=cval)


def information(
    fixed_bins: npt.NDArray[np.int_], moving_bins: npt.NDArray[np.int_], n_bins: int
) -> float:
    """How well one binned signal tells the other, 0 (not at all) to 1.

    The information coefficient of correlation sqrt(1 - exp(-2 I)) of the mutual information I in
    nats (Linfoot 1957, doi:10.1016/S0019-9958(57)90116-X).

    Parameters
    ----------
    fixed_bins, moving_bins : (n,) int ndarray
        Values 0 … n_bins - 1.
    n_bins : int
    """
    if fixed_bins.size == 0:
        return 0.0
    joint = np.bincount(fixed_bins * n_bins + moving_bins, minlength=n_bins * n_bins)
    share = joint.reshape(n_bins, n_bins) / fixed_bins.size
    both = np.outer(share.sum(axis=1), share.sum(axis=0))
    filled = share > 0
    mutual = float((share[filled] * np.log(share[filled] / both[filled])).sum())
    return float(np.sqrt(max(0.0, 1 - np.exp(-2 * mutual))))


def to_bins(data: npt.NDArray[Any], n_bins: int, low: float, high: float) -> npt.NDArray[np.int_]:
    """Bin numbers 0 … n_bins - 1 of values between `low` and `high`; beyond goes to the ends."""
    scaled = (np.asarray(data, np.float64) - low) * (n_bins / max(high - low, 1e-12))
    return np.clip(scaled, 0, n_bins - 1).astype(np.int64)


def rigid_matrix(
    angles_deg: npt.ArrayLike, shift_mm: npt.ArrayLike, *, centre: npt.ArrayLike = (0, 0, 0)
) -> Affine:
    """Rotation about `centre` by angles about x, y and z (in that order), then a shift.

    Returns
    -------
    (4, 4) ndarray
        mm → mm.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", np.asarray(angles_deg), degrees=True).as_matrix()
    pivot = np.asarray(centre, float)
    matrix[:3, 3] = pivot - matrix[:3, :3] @ pivot + np.asarray(shift_mm, float)
    return matrix


def axis_rotations() -> list[npt.NDArray[np.float64]]:
    """List the 24 rotations that map axes onto axes, identity first, each (3, 3)."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return sorted(found, key=lambda m: -float(np.trace(m)))


def take_apart(
    matrix: Affine,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Rotation, stretches and angle of the rotation of an affine map (polar decomposition).

    Returns
    -------
    rotation : (3, 3) ndarray
    stretches : (3,) ndarray
        Ascending factors along the principal axes.
    angle_deg : float
    """
    left, stretches, right = np.linalg.svd(matrix[:3, :3])
    rotation = left @ right
    cosine = (float(np.trace(rotation)) - 1) / 2
    return rotation, stretches[::-1].copy(), float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
