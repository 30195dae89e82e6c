"""Compare two files volume by volume, without trusting what was said to have changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anonymi_bids.io.images import Scan, iter_volumes

MIN_SHARE = 0.9
"""A voxel counts as changed if it differs in at least this share of the volumes."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Changes:
    """Differences of stored values between two files.

    Attributes
    ----------
    any_volume : (I, J, K) bool ndarray
        Differs in at least one volume.
    most_volumes : (I, J, K) bool ndarray
        Differs in at least `MIN_SHARE` of the volumes.
    outside : tuple of int
        Voxels that differ outside the mask, one number a volume.
    tissue_left : tuple of float
        Share of the tissue inside the mask that does not differ, one number a volume; empty if
        the mask holds no tissue.
    """

    any_volume: Mask
    most_volumes: Mask
    outside: tuple[int, ...]
    tissue_left: tuple[float, ...]


def compare(before: Scan, after: Scan, mask: Mask, tissue: Mask) -> Changes:
    """Read both files as streams and compare the bits of each voxel.

    Parameters
    ----------
    before, after : Scan
        Must have the same shape and number of volumes.
    mask : (I, J, K) bool ndarray
        Where changes were announced.
    tissue : (I, J, K) bool ndarray
        Voxels of the original that hold tissue.

    Raises
    ------
    ValueError
        If shapes or numbers of volumes differ.
    UnreadableImage
    """
    shape = before.shape[:3]
    if after.shape[:3] != shape or mask.shape != shape or before.n_volumes != after.n_volumes:
        raise ValueError("The files before and after do not have the same shape.")
    counts = np.zeros(shape, dtype=np.uint16 if before.n_volumes < 2**16 else np.uint32)
    outside, left = [], []
    inside = mask & tissue
    n_inside = int(np.count_nonzero(inside))
    for first, second in zip(iter_volumes(before), iter_volumes(after), strict=True):
        differs = _differs(first, second)
        counts += differs
        outside.append(int(np.count_nonzero(differs & ~mask)))
        if n_inside:
            left.append(1 - int(np.count_nonzero(differs & inside)) / n_inside)
    return Changes(
        counts > 0,
        counts >= MIN_SHARE * before.n_volumes,
        tuple(outside),
        tuple(left),
    )


def _differs(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> Mask:
    """Voxels whose stored bits differ (NaN equals the same NaN, -0 differs from 0)."""
    if first.dtype.newbyteorder("=") != second.dtype.newbyteorder("="):
        return np.ones(first.shape, bool)
    word = np.dtype(f"u{first.dtype.itemsize}")
    native_first = first.astype(first.dtype.newbyteorder("="), copy=False)
    native_second = second.astype(second.dtype.newbyteorder("="), copy=False)
    if word.itemsize > 8:
        return native_first != native_second
    return native_first.view(word) != native_second.view(word)
