"""Ways to turn features into rows that one matrix product compares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.features import Features

Row = npt.NDArray[np.float32]
Describe = Callable[[Features], Row]

CLIP_MM = 15.0
"""Depths further from the fitted plane count as this far, so that no outlier decides."""


def brain_row(name: str) -> Describe:
    """Use one of the brain's rows as it is."""

    def describe(features: Features) -> Row:
        return features[name].astype(np.float32)

    return describe


def depth_row(features: Features) -> Row:
    """Depth of all views with offset and tilt taken out, so that small turns do not matter.

    Returns
    -------
    (V,) float32 ndarray
        mm; NaN where nothing was met.
    """
    return np.concatenate([_without_plane(view).ravel() for view in features["depth"]])


def slope_row(features: Features) -> Row:
    """Slopes of the depth maps: where the surface turns, whatever its distance.

    Returns
    -------
    (V,) float32 ndarray
    """
    parts = []
    for view in features["depth"].astype(np.float32):
        parts += [np.clip(slope, -4, 4).ravel() for slope in np.gradient(view)]
    return np.concatenate(parts)


FACE_SCORES: dict[str, Describe] = {"depth": depth_row, "slope": slope_row}
"""Ways to compare faces; the attack takes the one that is strongest on the originals."""


def _without_plane(view: npt.NDArray[np.floating]) -> Row:
    values = view.astype(np.float32)
    seen = np.isfinite(values)
    if seen.sum() < 10:
        return np.full(values.shape, np.nan, dtype=np.float32)
    rows, columns = np.indices(values.shape, dtype=np.float32)
    terms = np.stack([np.ones_like(rows), rows / 40, columns / 40], axis=-1)
    fitted, *_ = np.linalg.lstsq(terms[seen], values[seen], rcond=None)
    flat = np.clip(values - terms @ fitted.astype(np.float32), -3 * CLIP_MM, 3 * CLIP_MM)
    return np.asarray(flat, dtype=np.float32)
