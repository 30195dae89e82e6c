"""What a brain looks like whatever the contrast: where it resembles its own neighbourhood.

A border between two tissues is a border on a T1w, a T2w and a FLAIR alike, though bright and dark
change places. So each place is described by how much its patch differs from the patches beside it,
measured against how much patches differ there at all (modality independent neighbourhood
descriptor; Heinrich et al. 2012, doi:10.1016/j.media.2012.05.008).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Volume = npt.NDArray[np.float32]

PATCH_VOXELS = 1.2
"""Standard deviation of a patch, voxels."""

STEP = 2
"""Every second place is kept along each axis: patches overlap, and rows stay short."""

_LEAST = 1e-3
"""Least variance of a place, as a share of the mean one: noise in the even parts says nothing."""


def self_similarity_row(
    values: Volume, seen: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float16]:
    """Describe a brain by self-similarity.

    Parameters
    ----------
    values : (I, J, K) float32 ndarray
        Grey values, with something smooth where nothing was seen.
    seen : (I, J, K) bool ndarray
    mask : (I, J, K) bool ndarray
        Brain on the grid of comparison.

    Returns
    -------
    (6 V,) float16 ndarray
        V: voxels of the mask on every second grid plane. exp(−d/v) towards the six neighbours, the
        largest 1, the mean of each direction taken off; 0 where nothing was seen.
    """
    apart = []
    for axis in range(3):
        for side in (1, -1):
            difference = (values - np.roll(values, side, axis)) ** 2
            apart.append(ndimage.gaussian_filter(difference, PATCH_VOXELS))
    distances = np.stack(apart)
    inner = ndimage.binary_erosion(seen)
    some = inner[::STEP, ::STEP, ::STEP] & mask[::STEP, ::STEP, ::STEP]
    kept = mask[::STEP, ::STEP, ::STEP]
    if not some.any():
        return np.zeros(6 * int(kept.sum()), dtype=np.float16)
    variance = distances.mean(axis=0)
    least = max(_LEAST * float(variance[inner].mean()), float(np.finfo(np.float32).tiny))
    variance = np.maximum(variance, least)
    alike = np.exp(-distances / variance)
    alike = (alike / alike.max(axis=0))[:, ::STEP, ::STEP, ::STEP]
    rows = [np.where(some, part - part[some].mean(), 0)[kept] for part in alike]
    return np.concatenate(rows).astype(np.float16)
