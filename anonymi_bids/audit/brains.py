"""The brain as a row of numbers that can be compared across visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.audit.selfsimilar import self_similarity_row
from anonymi_bids.core.grid import apply_affine, resample
from anonymi_bids.core.mask import distance_mm
from anonymi_bids.model import Image

if TYPE_CHECKING:
    from anonymi_bids.head.atlas import Atlas

Row = npt.NDArray[np.float16]
Volume = npt.NDArray[np.float32]

SPACING_MM = 3.0
"""Grid on which brains are compared."""

_FINE = 2
_BIAS_MM = 30.0
_HIGH_PASS_MM = 12.0
_FILL_MM = 18.0
_AIR_POINTS = 2000
_AIR_MARGIN_MM = 15.0


def brain_rows(
    image: Image, atlas: Atlas, atlas_to_image: npt.NDArray[np.float64]
) -> dict[str, Row]:
    """Bring a brain to the atlas and even out what belongs to the scanner.

    Resampled by the affine to 3 mm (mean of 2×2×2 finer points), bias field divided out, clipped
    at the 1st and 99th percentile, z-scored.

    Parameters
    ----------
    image : Image
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray

    Returns
    -------
    dict of (V,) float16 ndarray
        ``brain``; ``brain_high``, the same with what is smoother than 12 mm taken away;
        ``brain_edges``, size of its gradient. 0 where the image does not reach.
        ``brain_contrast``, which is the same for all contrasts, nearly:
        `selfsimilar.self_similarity_row`, of another length.
    """
    mask, affine = brain_grid(atlas)
    values = _sample(image, affine, mask.shape, atlas_to_image)
    seen = mask & np.isfinite(values) & (values != 0)
    if seen.sum() < 200:
        empty = np.zeros(int(mask.sum()), dtype=np.float16)
        blank = {"brain": empty, "brain_high": empty.copy(), "brain_edges": empty.copy()}
        nothing = np.zeros(mask.shape, dtype=np.float32)
        return blank | {"brain_contrast": self_similarity_row(nothing, ~mask & mask, mask)}
    values = np.where(seen, values, 0)
    values -= min(0.0, float(values[seen].min()))
    field = _smooth(values, seen, _BIAS_MM)
    even = np.where(seen, values / np.maximum(field, 1e-6 * float(field.max()) + 1e-12), 0)
    low, high = (float(value) for value in np.percentile(even[seen], (1, 99)))
    even = np.where(seen, np.clip(even, low, high), 0)
    filled = np.where(seen, even, _smooth(even, seen, _FILL_MM))
    slopes = np.gradient(np.where(seen, even, field.dtype.type(1)))
    edges = np.sqrt(sum(slope**2 for slope in slopes))
    return {
        "brain": _z_score(even, seen)[mask],
        "brain_high": _z_score(even - _smooth(even, seen, _HIGH_PASS_MM), seen)[mask],
        "brain_edges": _z_score(edges, seen & ndimage.binary_erosion(seen))[mask],
        "brain_contrast": self_similarity_row(filled, seen, mask),
    }


def brain_grid(atlas: Atlas) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Brain mask of the atlas on the grid of comparison, and the grid's affine."""
    where = apply_affine(atlas.brain.affine, np.argwhere(atlas.brain.data))
    low, high = where.min(axis=0) - SPACING_MM, where.max(axis=0) + SPACING_MM
    n = [int(count) for count in np.ceil((high - low) / SPACING_MM)]
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = low + SPACING_MM / 2
    mask = resample(atlas.brain.data.astype(bool), atlas.brain.affine, affine, (n[0], n[1], n[2]))
    return ndimage.binary_erosion(mask), affine


def air_row(
    image: Image, atlas: Atlas, atlas_to_image: npt.NDArray[np.float64], *, seed: int
) -> Row:
    """Values at points in the air round the head: a control that must not tell who it is.

    Parameters
    ----------
    image : Image
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray
    seed : int
        Chooses the points; the same for all images of a run.

    Returns
    -------
    (2000,) float16 ndarray
        z-scored; 0 outside the image.
    """
    rng = np.random.default_rng(seed)
    head = atlas.head.data.astype(bool)
    sizes = atlas.head.voxel_sizes
    # Points are drawn in a box larger than the head, 15 mm or more away from it.
    margin = np.ceil(60 / sizes).astype(int)
    padded = np.pad(head, [(int(m), int(m)) for m in margin])
    coarse = padded[::3, ::3, ::3]
    apart = distance_mm(~coarse, 3 * sizes)
    places = np.argwhere((apart > _AIR_MARGIN_MM) & (apart < 55))
    if len(places) == 0:
        return np.zeros(_AIR_POINTS, dtype=np.float16)
    drawn = places[rng.integers(0, len(places), _AIR_POINTS)] * 3 - margin
    points = apply_affine(atlas_to_image, apply_affine(atlas.head.affine, drawn))
    voxels = apply_affine(np.linalg.inv(image.affine).astype(np.float64), points)
    values = ndimage.map_coordinates(
        np.nan_to_num(image.data), voxels.T, order=0, mode="constant", cval=np.nan
    ).astype(np.float32)
    seen = np.isfinite(values)
    return _z_score(np.where(seen, values, 0), seen)


def _sample(
    image: Image,
    affine: npt.NDArray[np.float64],
    shape: tuple[int, ...],
    atlas_to_image: npt.NDArray[np.float64],
) -> Volume:
    """Mean of the image over each voxel of the grid; NaN outside the image."""
    fine = affine.copy()
    fine[:3, :3] /= _FINE
    fine[:3, 3] -= np.diag(affine)[:3] * (0.5 - 0.5 / _FINE)
    i, j, k = (n * _FINE for n in shape)
    values = resample(
        np.nan_to_num(image.data, posinf=0, neginf=0),
        image.affine,
        fine,
        (i, j, k),
        source_to_target=np.linalg.inv(atlas_to_image).astype(np.float64),
        cval=np.nan,
    )
    blocks = values.reshape(shape[0], _FINE, shape[1], _FINE, shape[2], _FINE)
    return np.asarray(blocks.mean(axis=(1, 3, 5)), dtype=np.float32)


def _smooth(values: Volume, seen: npt.NDArray[np.bool_], width_mm: float) -> Volume:
    """Gaussian mean over what is seen only."""
    sigma = width_mm / SPACING_MM
    weight = ndimage.gaussian_filter(seen.astype(np.float32), sigma, mode="constant", truncate=3)
    total = ndimage.gaussian_filter(
        np.where(seen, values, 0).astype(np.float32), sigma, mode="constant", truncate=3
    )
    return np.asarray(total / np.maximum(weight, 1e-3), dtype=np.float32)


def _z_score(values: Volume, seen: npt.NDArray[np.bool_]) -> Row:
    inside = values[seen].astype(np.float64)
    spread = inside.std() if inside.size else 0.0
    if spread == 0:
        return np.zeros(values.shape, dtype=np.float16)
    return np.where(seen, (values - inside.mean()) / spread, 0).astype(np.float16)
