"""Fill a region with the air of the scan itself, in the type in which it is stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MIN_AIR_VOXELS = 200
"""With fewer air voxels than this no distribution is drawn from; a constant is used."""

UPPER_QUANTILE = 0.98
"""Air above this quantile (head holder, wrapped skin, markers) is not drawn from."""

LOW_PERCENTILE = 1.0
"""Percentile of the whole scan that stands for air where there is too little of it."""


def fill_air(
    raw: npt.NDArray[Any],
    region: npt.NDArray[np.bool_],
    air: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> npt.NDArray[Any]:
    """Replace a region by independent draws from the scan's own air voxels.

    Values stay as stored: no scaling, no rounding, no change of type, and nothing outside the
    region is touched. Air that is constant (a background set to zero) gives that constant.

    Parameters
    ----------
    raw : (I, J, K) ndarray
        Stored values of one volume, any real dtype and byte order.
    region : (I, J, K) bool ndarray
        Voxels to be replaced.
    air : (I, J, K) bool ndarray
        Voxels known to be air; those inside `region` are ignored.
    rng : numpy Generator

    Returns
    -------
    (I, J, K) ndarray
        A copy with the dtype and memory order of `raw`.
    """
    filled = raw.copy(order="K")
    n_voxels = int(np.count_nonzero(region))
    if n_voxels == 0:
        return filled
    pool = air_pool(raw, air & ~region)
    if pool.size == 1:
        filled[region] = pool[0]
    else:
        filled[region] = pool[rng.integers(0, pool.size, n_voxels)]
    return filled


def air_pool(raw: npt.NDArray[Any], air: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Give the stored values that stand for air, (n,) sorted.

    One value if air is constant or scarce.
    """
    values = raw[air]
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size < MIN_AIR_VOXELS:
        return _low_constant(raw)
    values = np.sort(values)
    values = values[: max(1, int(np.ceil(UPPER_QUANTILE * values.size)))]
    if values[0] == values[-1]:
        return values[:1]
    return values


def _low_constant(raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give a low value that occurs in the scan, (1,); zero if nothing in it is finite."""
    values = raw.ravel(order="K")
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size == 0:
        return np.zeros(1, dtype=raw.dtype)
    rank = int(LOW_PERCENTILE / 100 * (values.size - 1))
    return np.partition(values, rank)[rank : rank + 1].astype(raw.dtype)
