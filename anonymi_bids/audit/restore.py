"""Bring back a face that was taken away: what is left, what was changed, and how to fill it.

A *head* here is a list of views (depth maps, mm, NaN for misses): three of the face, and where
they were kept, one from above and one from behind. *Pixels* are one bool array for each view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.audit.describe import without_plane, without_planes
from anonymi_bids.audit.faces import SPACING_MM

View = npt.NDArray[np.float32]
Head = list[View]
Pixels = list[npt.NDArray[np.bool_]]
Row = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float32]

FACE_VIEWS = 3
CHANGED_MM = 0.5
"""A pixel whose depth moved by more than this, or came or went, was changed."""

CHANGED_SHARE = 0.1
"""In this share of the heads or more a pixel must have changed to be taken as not left."""

NOISE_MM = 2.0
"""What a completion trusts the single pixel to: scans, poses and the models themselves err."""

_MOST_GAIN = 8.0
"""By how much a deblurred picture may raise a frequency."""


def read_head(features: Mapping[str, Any]) -> Head:
    """Give all views of an image's features."""
    views = [np.asarray(view, dtype=np.float32) for view in features["head"]]
    if "rest" in features:
        views += [np.asarray(view, dtype=np.float32) for view in features["rest"]]
    return views


def face_of(features: Mapping[str, Any]) -> Pixels:
    """Pixels of the face: where the features' ``depth`` was kept; none in the rest's views."""
    face = [np.isfinite(view) for view in features["depth"]]
    rest = features["rest"] if "rest" in features else ()
    return face + [np.zeros(view.shape, dtype=bool) for view in rest]


def union(pixels: Sequence[Pixels]) -> Pixels:
    """Pixels that any of the sets holds."""
    return [np.logical_or.reduce(views) for views in zip(*pixels, strict=True)]


def changed_pixels(before: Sequence[Head], after: Sequence[Head]) -> Pixels:
    """Find where a method changes heads: what an attacker learns by running it on other heads.

    Parameters
    ----------
    before, after : sequence of Head
        The same acquisitions, untouched and de-identified. Nothing is matched here.

    Returns
    -------
    Pixels
        Grown by one pixel.
    """
    found = []
    for old, new in zip(zip(*before, strict=True), zip(*after, strict=True), strict=True):
        a, b = np.stack(old), np.stack(new)
        moved = np.abs(np.nan_to_num(a, nan=-999.0) - np.nan_to_num(b, nan=-999.0)) > CHANGED_MM
        found.append(ndimage.binary_dilation(moved.mean(axis=0) >= CHANGED_SHARE))
    return found


def everything(head: Head) -> Pixels:
    """All pixels."""
    return [np.ones(view.shape, dtype=bool) for view in head]


def others(pixels: Pixels) -> Pixels:
    """All pixels but these."""
    return [~view for view in pixels]


def flat_rows(heads: Sequence[Head], pixels: Pixels) -> Rows:
    """Give the chosen pixels of heads, offset and tilt taken out of each view; NaN for misses.

    Returns
    -------
    (n, p) float32 ndarray
    """
    parts = [
        without_planes(np.stack([view[chosen] for view in views]), np.stack(np.nonzero(chosen)))
        for views, chosen in zip(zip(*heads, strict=True), pixels, strict=True)
        if chosen.any()
    ]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(heads), 0), np.float32)


def refill(head: Head, missing: Pixels, average: Head) -> Head:
    """Put the average head where something is missing, laid on what is left.

    Parameters
    ----------
    head : Head
    missing : Pixels
    average : Head
        NaN where no head shows anything.

    Returns
    -------
    Head
        Offset and tilt of the average follow what is left of each view.
    """
    filled = []
    for view, gone, mean in zip(head, missing, average, strict=True):
        apart = np.where(gone, np.nan, view - mean)
        seen = np.isfinite(apart)
        plane = np.zeros(view.shape, dtype=np.float32)
        if seen.sum() >= 10:
            rows, columns = np.indices(view.shape, dtype=np.float32)
            terms = np.stack([np.ones_like(rows), rows, columns], axis=-1)
            weights = np.linalg.lstsq(terms[seen], apart[seen], rcond=None)[0]
            plane = terms @ weights
        filled.append(np.where(gone, mean + plane, view).astype(np.float32))
    return filled


def average_head(heads: Sequence[Head]) -> Head:
    """Mean of heads, pixel by pixel, over those that show something; NaN where none does."""
    means = []
    for views in zip(*heads, strict=True):
        stack = np.stack(views)
        seen = np.isfinite(stack)
        count = seen.sum(axis=0)
        total = np.where(seen, stack, 0).sum(axis=0)
        means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32))
    return means


def deblurred(view: View, smooth_mm: float) -> View:
    """Undo a Gaussian low-pass of a depth map, as far as noise allows.

    Parameters
    ----------
    view : (rows, columns) ndarray
        2 mm pixels; what is missing is filled from next to it first.
    smooth_mm : float
        Standard deviation of the low-pass.

    Returns
    -------
    (rows, columns) float32 ndarray
        No frequency is raised more than `_MOST_GAIN` times; NaN where `view` is.
    """
    missed = ~np.isfinite(view)
    if missed.all():
        return view
    nearest = ndimage.distance_transform_edt(missed, return_distances=False, return_indices=True)
    whole = view[tuple(nearest)]
    flat = without_plane(whole)
    wide = np.pad(flat, 32, mode="reflect")
    squares = sum(
        np.square(axis)
        for axis in np.meshgrid(
            *(2 * np.pi * np.fft.fftfreq(n, SPACING_MM) for n in wide.shape), indexing="ij"
        )
    )
    passed = np.exp(-(smooth_mm**2) * squares / 2)
    # Wiener's filter h / (h² + e) peaks at 1 / (2 √e).
    gain = passed / (passed**2 + 1 / (2 * _MOST_GAIN) ** 2)
    sharp = np.fft.ifft2(np.fft.fft2(wide) * gain).real[32:-32, 32:-32]
    return np.where(missed, np.nan, sharp + whole - flat).astype(np.float32)


class Completion:
    """A linear map from what is left of a head to its face, learnt on other heads.

    The most probable face if heads are normally distributed and each pixel errs by `NOISE_MM`.

    Parameters
    ----------
    left, faces : (m, p) and (m, q) ndarray
        Of the heads to learn from (`flat_rows`); NaN for misses.
    """

    def __init__(self, left: Rows, faces: Rows) -> None:
        self.mean_left, x = _centred(left)
        self.mean_face, y = _centred(faces)
        gram = (x @ x.T).astype(np.float64)
        # Prior covariance is x'x / m, and pixels err by NOISE_MM each.
        gram[np.diag_indices_from(gram)] += len(x) * NOISE_MM**2
        self._left = x
        self._weights = np.linalg.solve(gram, y.astype(np.float64)).astype(np.float32)

    def complete(self, left: Row, mean: Row | None = None) -> Row:
        """Give the face that goes with what is left of a head.

        Parameters
        ----------
        left : (p,) ndarray
            NaN counts as average.
        mean : (p,) ndarray, optional
            What is left on average where `left` comes from, if these heads differ from those
            learnt from.
        """
        apart = np.nan_to_num(left - (self.mean_left if mean is None else mean))
        return np.asarray(self.mean_face + (self._left @ apart) @ self._weights, dtype=np.float32)


def row_mean(rows: Rows) -> Row:
    """Mean of the rows that show something, column by column; 0 where none does, (p,)."""
    seen = np.isfinite(rows)
    total = np.where(seen, rows, 0).sum(axis=0)
    return np.asarray(total / np.maximum(seen.sum(axis=0), 1), dtype=np.float32)


def _centred(rows: Rows) -> tuple[Row, Rows]:
    mean = row_mean(rows)
    return mean, np.nan_to_num(rows - mean)
