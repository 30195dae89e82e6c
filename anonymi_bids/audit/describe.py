"""Ways to turn features into rows that one matrix product compares."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]
Features = Mapping[str, Any]
Describe = Callable[[Features], Row]

CLIP_MM = 15.0
"""Depths further from the fitted plane count as this far, so that no outlier decides."""


def brain_row(name: str) -> Describe:
    """Use one of the brain's rows as it is."""

    def describe(features: Features) -> Row:
        return np.asarray(features[name], dtype=np.float32)

    return describe


class ShiftedBrain:
    """Use one of the brain's rows, compared at the best of some shifts (`rows.ShiftedRows`).

    Attributes
    ----------
    mask : (I, J, K) bool ndarray
        Where the values lie on the grid of `brains.brain_grid`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, features: Features) -> Row:
        """Give the row, (V,) float32."""
        return np.asarray(features[self.name], dtype=np.float32)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where the values lie on the grid."""
        return _brain_mask()


@functools.cache
def _brain_mask() -> npt.NDArray[np.bool_]:
    from anonymi_bids.audit.brains import brain_grid
    from anonymi_bids.head.atlas import load_atlas

    return brain_grid(load_atlas())[0]


MOST_SHIFTED = 100_000
"""Pairs of people up to which shifts are tried: 27 times the work of one comparison."""


def brain_ways(n_pairs: int) -> dict[str, Describe]:
    """Ways to compare brains within a contrast, the most trusted first.

    On real repeats that were registered apart (`benchmarks.real.people`) shifts told every pair
    of one person from all strangers; without them half of these pairs did not stand out.
    """
    shifted: dict[str, Describe] = {"brain_shifted": ShiftedBrain("brain_high")}
    plain = {name: brain_row(name) for name in ("brain_high", "brain_edges", "brain")}
    return (shifted if n_pairs <= MOST_SHIFTED else {}) | plain


def depth_row(name: str) -> Describe:
    """Compare depths of all views, offset and tilt taken out, so that small turns do not matter.

    Parameters
    ----------
    name : {"depth", "head"}
        Views of the face, or of all that is seen.
    """

    def describe(features: Features) -> Row:
        return np.concatenate([without_plane(view).ravel() for view in features[name]])

    return describe


def slope_row(name: str) -> Describe:
    """Compare slopes of the views: where the surface turns, whatever its distance."""

    def describe(features: Features) -> Row:
        parts = []
        for view in features[name].astype(np.float32):
            parts += [np.clip(slope, -4, 4).ravel() for slope in np.gradient(view)]
        return np.concatenate(parts)

    return describe


SHAPE_SCORES: dict[str, Callable[[str], Describe]] = {"depth": depth_row, "slope": slope_row}
"""Ways to compare surfaces; the attack takes the one that is strongest on the originals."""


def without_plane(view: npt.NDArray[np.floating]) -> Row:
    """Take offset and tilt out of a view; NaN stays NaN, and all is NaN where little is seen.

    Parameters
    ----------
    view : (rows, columns) ndarray
        mm.

    Returns
    -------
    (rows, columns) float32 ndarray
    """
    rows, columns = view.shape
    return without_planes(view.reshape(1, -1), np.indices((rows, columns)).reshape(2, -1)).reshape(
        rows, columns
    )


def without_planes(
    views: npt.NDArray[np.floating], pixels: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """Take offset and tilt out of many views at once, from some of their pixels.

    Parameters
    ----------
    views : (n, p) ndarray
        mm; NaN for misses.
    pixels : (2, p) int ndarray
        Row and column of each pixel.

    Returns
    -------
    (n, p) float32 ndarray
        All NaN where a view shows fewer than ten pixels.
    """
    values = views.astype(np.float32)
    seen = np.isfinite(values)
    terms = np.stack([np.ones(pixels.shape[1]), *(pixels / 40 - 1)], axis=-1)
    # Normal equations: three unknowns and thousands of pixels.
    products = (terms[:, :, None] * terms[:, None, :]).reshape(-1, 9)
    moments = (seen @ products).reshape(-1, 3, 3)
    right = np.where(seen, values, 0) @ terms
    fitted = np.einsum("nij,nj->ni", np.linalg.pinv(moments, hermitian=True), right)
    values -= (fitted @ terms.T).astype(np.float32)
    np.clip(values, -3 * CLIP_MM, 3 * CLIP_MM, out=values)
    values[seen.sum(axis=1) < 10] = np.nan
    return values
