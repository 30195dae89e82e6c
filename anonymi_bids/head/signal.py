"""Whether an image holds anything in which a head could be looked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anonymi_bids.errors import NotAHead


def finite_range(
    data: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.bool_], float, float]:
    """Find the finite voxels of an image, and their least and greatest value.

    Parameters
    ----------
    data : (I, J, K) float32 ndarray

    Returns
    -------
    finite : (I, J, K) bool ndarray
    low, high : float

    Raises
    ------
    NotAHead
        If there is no finite value or all are equal.
    """
    finite = np.isfinite(data)
    if not finite.any():
        raise NotAHead("The image holds no finite value, so there is no head in it; withhold it.")
    values = data if finite.all() else data[finite]
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise NotAHead(
            "All voxels of the image have one value, so there is no head in it; withhold it."
        )
    return finite, low, high
