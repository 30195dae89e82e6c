"""Masks: the head against air, growing and shrinking in mm, largest piece."""

from __future__ import annotations

from typing import Any

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import voxel_sizes

Mask = npt.NDArray[np.bool_]

CT_AIR_HU = -400.0
"""Halfway between air (-1000 HU) and skin (about 0 to 100 HU), a little on the safe side."""

CT_SOFT_HU = (-200.0, 200.0)
"""Fat, muscle, brain and CSF: most of a head."""

COARSE_MM = 2.0
CLOSE_MM = 7.0
OPEN_MM = 3.0
TIE_MM = 1e-4
"""Distances are kept in single precision; what is this near to a limit lies on it."""


def is_ct(data: npt.NDArray[Any]) -> bool:
    """Whether values look like Hounsfield units: much air far below zero, soft tissue near zero.

    An MR image that was shifted below zero has as dark an air, but its tissue anywhere.
    """
    sample = _sample(data)
    if sample.size == 0 or sample.min() > -800 or (sample < -700).mean() <= 0.05:
        return False
    tissue = sample[sample > -700]
    soft = (tissue > CT_SOFT_HU[0]) & (tissue < CT_SOFT_HU[1])
    return bool(tissue.size > 0.02 * sample.size and soft.mean() > 0.5)


def air_statistics(data: npt.NDArray[Any]) -> tuple[float, float]:
    """Mean and standard deviation of the air beside the head.

    Taken from the darker half of blocks along the edges of the field of view, so that a neck, a
    shoulder or a cropped vault in some of them does no harm. Blocks of one constant value are
    padding and left out, unless they are the majority: then that constant is the air.

    Parameters
    ----------
    data : (I, J, K) ndarray

    Returns
    -------
    mean, sd : float
        In the unit of `data`; 0 and 0 if there is no finite voxel.
    """
    blocks = []
    edges = [max(2, round(0.08 * n)) for n in data.shape]
    starts = [
        sorted({0, max(0, (n - e) // 2), max(0, n - e)})
        for n, e in zip(data.shape, edges, strict=True)
    ]
    for i in starts[0]:
        for j in starts[1]:
            for k in starts[2]:
                block = data[i : i + edges[0], j : j + edges[1], k : k + edges[2]]
                values = block[np.isfinite(block)]
                if values.size:
                    blocks.append((float(values.mean()), float(values.std()), values.size))
    if not blocks:
        return 0.0, 0.0
    flat = [block for block in blocks if block[1] == 0]
    if 2 * len(flat) >= len(blocks):
        return min(block[0] for block in flat), 0.0
    noisy = sorted(block for block in blocks if block[1] > 0)
    lower = noisy[: max(1, len(noisy) // 4)]
    return float(np.mean([b[0] for b in lower])), float(np.median([b[1] for b in lower]))


def air_threshold(data: npt.NDArray[Any]) -> float:
    """Value that separates air from skin.

    Mean + 12 sd of the air beside the head, held between 6 and 20 % of the brightest
    percentile above air. Otsu's threshold is not used: on some contrasts it finds the brain.

    Parameters
    ----------
    data : (I, J, K) ndarray
        Any contrast; CT is recognised by its values and cut at -400 HU.

    Returns
    -------
    float
    """
    if is_ct(data):
        return CT_AIR_HU
    sample = _sample(data)
    if sample.size == 0:
        return 0.0
    mean, sd = air_statistics(data)
    bright = float(np.percentile(sample, 99)) - mean
    if bright <= 0:
        bright = float(sample.max()) - mean
    return mean + float(np.clip(12 * sd, 0.06 * bright, 0.20 * bright))


def head_mask(
    data: npt.NDArray[Any], affine: npt.NDArray[np.float64], *, threshold: float | None = None
) -> Mask:
    """Head against air, skin included, holes filled, nostrils and ear canals closed.

    Parameters
    ----------
    data : (I, J, K) ndarray
        Any contrast, also CT in HU; NaN counts as air.
    affine : (4, 4) ndarray
        Voxel → mm.
    threshold : float, optional
        Air against skin; `air_threshold` if left out.

    Returns
    -------
    (I, J, K) bool ndarray
        The largest piece; all False if nothing stands out of the air.
    """
    values = np.nan_to_num(
        np.asarray(data, dtype=np.float32), nan=-np.inf, posinf=np.inf, neginf=-np.inf
    )
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(data.shape, bool)
    low = float(values[finite].min())
    values = np.where(finite, values, np.float32(low))
    limit = air_threshold(data) if threshold is None else threshold
    above = ndimage.gaussian_filter(values, 0.6) > limit
    factors = np.maximum(1, np.round(COARSE_MM / voxel_sizes(affine))).astype(int)
    sizes = voxel_sizes(affine) * factors
    coarse = _shrink(above, factors) >= 0.5
    piece = _main_piece(coarse, sizes)
    if not piece.any():
        return np.zeros(data.shape, bool)
    closed = fill_holes(_grow(_grow(piece, sizes, CLOSE_MM), sizes, -CLOSE_MM) | piece)
    core = _grow(closed, sizes, -1.01 * float(sizes.max()) if sizes.max() < 4 else -2.1)
    near = _grow(piece, sizes, 2 * COARSE_MM)
    mask = (above & _enlarge(near, factors, data.shape)) | _enlarge(core, factors, data.shape)
    return fill_holes(largest_component(mask), slices=False)


def largest_component(mask: Mask) -> Mask:
    """Largest face-connected piece of a mask; ties go to the first in array order."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(mask.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == int(sizes.argmax())


def fill_holes(mask: Mask, *, slices: bool = True) -> Mask:
    """Fill what a mask encloses in 3-D and, with `slices`, in each slice of the three axes.

    The slices close cavities that the edge of the field of view has cut open.
    """
    filled = mask.copy()
    if slices:
        for axis in range(3):
            flat = ndimage.generate_binary_structure(3, 1)
            flat[tuple([0, 2] if other == axis else slice(None) for other in range(3))] = False
            filled |= _enclosed(filled, flat, axis)
    return filled | _enclosed(filled, ndimage.generate_binary_structure(3, 1), None)


def _enclosed(mask: Mask, structure: Mask, axis: int | None) -> Mask:
    """Background pieces that do not touch the border (of their slice across `axis`)."""
    labels, count = ndimage.label(~mask, structure=structure)
    outside = np.zeros(count + 1, bool)
    for side in range(3):
        if side == axis:
            continue
        outside[np.unique(np.take(labels, [0, mask.shape[side] - 1], axis=side))] = True
    outside[0] = True
    return ~outside[labels]


def distance_mm(mask: Mask, sizes: npt.ArrayLike = 1.0) -> npt.NDArray[np.float32]:
    """Distance of each voxel of a mask to the nearest voxel outside it.

    Parameters
    ----------
    mask : (I, J, K) bool ndarray
    sizes : float or (3,) array_like
        Voxel edges, mm.

    Returns
    -------
    (I, J, K) float32 ndarray
        mm; 0 outside the mask, infinite if nothing lies outside it.

    Notes
    -----
    By the package edt: five times as fast as scipy's on a whole head, equal within 2e-5 mm.
    """
    edges = np.broadcast_to(np.asarray(sizes, float), 3)
    distance = edt.edt(
        np.ascontiguousarray(mask),
        anisotropy=(float(edges[0]), float(edges[1]), float(edges[2])),
        black_border=False,
        parallel=1,
    )
    return np.asarray(distance, np.float32)


def bounding_box(mask: Mask, margin: int) -> tuple[slice, ...]:
    """Slices around the True voxels of a mask, grown by a margin; everything if it is empty."""
    if not mask.any():
        return tuple(slice(0, n) for n in mask.shape)
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        line = np.flatnonzero(mask.any(axis=others))
        box.append(slice(max(0, int(line[0]) - margin), int(line[-1]) + 1 + margin))
    return tuple(box)


def dilate_mm(mask: Mask, affine: npt.NDArray[np.float64], mm: float) -> Mask:
    """Grow a mask by a distance in mm (Euclidean, voxel sizes respected)."""
    return _grow(mask, voxel_sizes(affine), abs(mm))


def erode_mm(mask: Mask, affine: npt.NDArray[np.float64], mm: float) -> Mask:
    """Shrink a mask by a distance in mm; the edge of the field of view does not count as air."""
    return _grow(mask, voxel_sizes(affine), -abs(mm))


def _grow(mask: Mask, sizes: npt.NDArray[np.float64], mm: float) -> Mask:
    if mm == 0 or not mask.any() or mask.all():
        return mask.copy()
    seed = mask if mm > 0 else ~mask
    where = np.argwhere(seed.any(axis=(1, 2)))[[0, -1], 0]
    box = [where]
    box.append(np.argwhere(seed.any(axis=(0, 2)))[[0, -1], 0])
    box.append(np.argwhere(seed.any(axis=(0, 1)))[[0, -1], 0])
    pad = np.ceil(abs(mm) / sizes).astype(int) + 1
    window = tuple(
        slice(max(0, int(low) - int(p)), int(high) + int(p) + 1)
        for (low, high), p in zip(box, pad, strict=True)
    )
    grown = np.zeros(mask.shape, bool)
    grown[window] = distance_mm(~seed[window], sizes) <= abs(mm) + TIE_MM
    return grown if mm > 0 else ~grown


def _main_piece(coarse: Mask, sizes: npt.NDArray[np.float64]) -> Mask:
    """Largest piece after cutting thin bridges (table, head holder), thin parts regained."""
    core = largest_component(_grow(coarse, sizes, -OPEN_MM))
    if not core.any():
        return largest_component(coarse)
    return largest_component(coarse & _grow(core, sizes, 4 * OPEN_MM))


def _sample(data: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    step = max(1, round((data.size / 2e6) ** (1 / 3)))
    values = np.asarray(data[::step, ::step, ::step], dtype=np.float32).ravel()
    return values[np.isfinite(values)]


def _shrink(mask: Mask, factors: npt.NDArray[np.int_]) -> npt.NDArray[np.float32]:
    """Mean of blocks of `factors` voxels; the last blocks are padded with their edge."""
    pads = [(0, int(-n % f)) for n, f in zip(mask.shape, factors, strict=True)]
    padded = np.pad(mask, pads, mode="edge") if any(p[1] for p in pads) else mask
    i, j, k = (n // f for n, f in zip(padded.shape, factors, strict=True))
    blocks = padded.reshape(i, factors[0], j, factors[1], k, factors[2])
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def _enlarge(coarse: Mask, factors: npt.NDArray[np.int_], shape: tuple[int, ...]) -> Mask:
    large = coarse
    for axis, factor in enumerate(factors):
        large = np.repeat(large, int(factor), axis=axis)
    return large[: shape[0], : shape[1], : shape[2]]
