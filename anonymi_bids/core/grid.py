"""Affine algebra and resampling between voxel grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Affine = npt.NDArray[np.float64]


def apply_affine(matrix: Affine, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Map points by a 4×4 matrix.

    Parameters
    ----------
    matrix : (4, 4) ndarray
    points : (..., 3) array_like

    Returns
    -------
    (..., 3) float64 ndarray
    """
    points = np.asarray(points, dtype=np.float64)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def voxel_sizes(affine: Affine) -> npt.NDArray[np.float64]:
    """Edge lengths of a voxel, (3,) mm."""
    return np.sqrt((affine[:3, :3] ** 2).sum(axis=0))


def voxel_volume_ml(affine: Affine) -> float:
    """Volume of one voxel in ml."""
    return float(abs(np.linalg.det(affine[:3, :3])) / 1000)


def centre_mm(shape: tuple[int, ...], affine: Affine) -> npt.NDArray[np.float64]:
    """Centre of a grid, (3,) mm."""
    return apply_affine(affine, (np.asarray(shape[:3]) - 1) / 2)


def same_grid(
    shape_a: tuple[int, ...],
    affine_a: Affine,
    shape_b: tuple[int, ...],
    affine_b: Affine,
    *,
    tolerance_mm: float = 1e-3,
) -> bool:
    """Whether two grids have the same shape and place every corner within a tolerance."""
    if tuple(shape_a[:3]) != tuple(shape_b[:3]):
        return False
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape_a[:3]])).reshape(3, -1).T
    apart = apply_affine(affine_a, corners) - apply_affine(affine_b, corners)
    return bool(np.abs(apart).max() <= tolerance_mm)


def resample(
    data: npt.NDArray[Any],
    affine: Affine,
    target_affine: Affine,
    target_shape: tuple[int, int, int],
    *,
    order: int = 1,
    source_to_target: Affine | None = None,
    cval: float = 0.0,
) -> npt.NDArray[Any]:
    """Bring an array to another grid.

    Parameters
    ----------
    data : (I, J, K) ndarray
        bool is treated as labels (nearest neighbour, returned as bool).
    affine, target_affine : (4, 4) ndarray
        Voxel → mm of source and target.
    target_shape : (3,) tuple of int
    order : int
        Spline order; 0 nearest, 1 linear.
    source_to_target : (4, 4) ndarray, optional
        Maps source mm to target mm; identity if left out.
    cval : float
        Value outside the source.

    Returns
    -------
    (target_shape) ndarray
        float32 for ``order`` > 0, else the type of `data`.
    """
    motion = np.eye(4) if source_to_target is None else source_to_target
    to_source = np.linalg.inv(affine) @ np.linalg.inv(motion) @ target_affine
    is_mask = data.dtype == np.bool_
    order = 0 if is_mask else order
    source = data.astype(np.uint8) if is_mask else data
    if order > 0:
        source = source.astype(np.float32, copy=False)
    moved = ndimage.affine_transform(
        source,
        to_source[:3, :3],
        offset=to_source[:3, 3],
        output_shape=tuple(int(n) for n in target_shape),
        order=order,
        mode="constant",
        cval=cval,
        prefilter=order > 1,
    )
    return moved > 0 if is_mask else moved


def grid_around(
    shape: tuple[int, ...], affine: Affine, spacing_mm: float
) -> tuple[Affine, tuple[int, int, int]]:
    """Isotropic grid along the axes of another one, covering the same field of view.

    Returns
    -------
    affine : (4, 4) ndarray
    shape : (3,) tuple of int
    """
    sizes = voxel_sizes(affine)
    extent = sizes * np.asarray(shape[:3])
    counts = np.maximum(1, np.ceil(extent / spacing_mm).astype(int))
    coarse = np.array(affine, dtype=np.float64)
    coarse[:3, :3] = affine[:3, :3] / sizes * spacing_mm
    # The first voxel's outer corner stays where it was.
    coarse[:3, 3] = apply_affine(affine, (-0.5, -0.5, -0.5)) + coarse[:3, :3] @ (0.5, 0.5, 0.5)
    return coarse, (int(counts[0]), int(counts[1]), int(counts[2]))
