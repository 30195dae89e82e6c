"""Tissues at the image's own resolution: what the network expects, held against what is measured.

The network draws its tissues with a soft pencil on a grid of 2 mm. Its shares are the prior of a
voxel here and the image is the evidence: how often a tissue shows an intensity is learnt from
this image alone, so that any contrast will do, and both are joined by Bayes' rule, a few times
over (the unified segmentation of Ashburner & Friston 2005, doi:10.1016/j.neuroimage.2005.02.018,
with histograms for its Gaussians and nothing left to register).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, apply_affine, resample, voxel_sizes
from anonymi_bids.head.network import (
    CLASSES,
    HeadMap,
    averaged,
    shown_volume,
    window,
)
from anonymi_bids.model import Image

Volume = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

FINEST_MM = 0.8
"""Voxels of half of this or less are averaged before."""
SURE_SHARE = 0.95
"""Where the network is as sure as this all around, the image is not asked."""
N_BINS = 64
SMOOTH_BINS = 1.0
UNEXPECTED = 0.02
"""Share of a tissue whose intensity may be anything."""
TRUST = 0.7
"""Power of the evidence: voxels are no independent witnesses, and fields and lesions lie."""
LEAST_SHARE = 1e-4
"""No tissue is ever ruled out where the network is in doubt."""
BRAIN_SHARE = 0.25
"""Brain and CSF count from this share on: to miss some is worse than to take a little more."""
ROUNDS = 3
LEARN_FROM = 8
"""Every eighth voxel in doubt is enough to learn from."""
EVERY = 4
"""Of the voxels that are sure, every fourth along each axis teaches the intensities."""


@dataclass(frozen=True, slots=True, eq=False)
class Tissues:
    """Tissues of one image.

    Attributes
    ----------
    affine : (4, 4) float64 ndarray
        Voxel → mm of the image.
    labels : (I, J, K) uint8 ndarray
        Index into `anonymi_bids.head.network.CLASSES`; 0, air, where the network did not look.
    """

    affine: Affine
    labels: Labels = field(repr=False)

    def mask(self, *names: str) -> npt.NDArray[np.bool_]:
        """Voxels of one of several classes."""
        return np.isin(self.labels, [CLASSES.index(name) for name in names])

    def mask_on(
        self, affine: Affine, shape: tuple[int, int, int], *names: str
    ) -> npt.NDArray[np.bool_]:
        """Voxels of one of several classes on another grid, whose edges are interpolated."""
        mask = self.mask(*names)
        if mask.shape == shape and np.allclose(affine, self.affine, atol=1e-4):
            return mask
        return resample(mask.astype(np.float32), self.affine, affine, shape) > 0.5


def tissues_of(image: Image, seen: HeadMap) -> Tissues:
    """Name the tissue of every voxel of an image.

    Parameters
    ----------
    image : Image
        3-D, the one that the network looked at.
    seen : HeadMap
        What it saw.

    Returns
    -------
    Tissues
        On the grid of the image, or on one of whole numbers of its voxels if these are finer than
        0.4 mm.
    """
    steps = np.maximum(1, np.floor(FINEST_MM / voxel_sizes(image.affine))).astype(int)
    data, affine = averaged(shown_volume(image), image.affine, steps)
    labels = np.zeros(data.shape, np.uint8)
    box = _box_of_head(seen, affine, data.shape)
    if box is None:
        return Tissues(affine, labels)
    low, high = window(data[::2, ::2, ::2])
    bins = _binned(data[box], low, high)
    to_grid = np.linalg.inv(seen.affine) @ affine
    to_grid[:3, 3] += to_grid[:3, :3] @ [part.start for part in box]
    labels[box] = _labelled(bins, seen, to_grid)
    return Tissues(affine, labels)


def _box_of_head(
    seen: HeadMap, affine: Affine, shape: tuple[int, ...]
) -> tuple[slice, slice, slice] | None:
    """Box of the image's voxels round all that may be head; None if nothing may."""
    places = np.argwhere(seen.in_view & (seen.shares[0] < SURE_SHARE))
    if not len(places):
        return None
    voxels = apply_affine(np.linalg.inv(affine) @ seen.affine, places)
    low = np.maximum(np.floor(voxels.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(voxels.max(axis=0)).astype(int) + 3, shape)
    if (high <= low).any():
        return None
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def _binned(data: Volume, low: float, high: float) -> npt.NDArray[np.intp]:
    """Intensity of each voxel as the number of its bin; the last takes all that is brighter."""
    scaled = (data - np.float32(low)) * np.float32(N_BINS / 1.5 / max(high - low, 1e-6))
    return np.clip(scaled, 0, N_BINS - 1).astype(np.intp)


def _labelled(bins: npt.NDArray[np.intp], seen: HeadMap, to_grid: Affine) -> Labels:
    """Label the voxels of a box by prior and intensity."""
    sure = _sure_labels(seen)
    labels = ndimage.affine_transform(
        sure, to_grid[:3, :3], to_grid[:3, 3], bins.shape, order=0, mode="constant", cval=0
    )
    open_ = labels == len(CLASSES)
    if not open_.any():
        return labels
    thin = (slice(None, None, EVERY),) * 3
    known = ~open_[thin]
    taught = np.zeros((len(CLASSES), N_BINS))
    np.add.at(taught, (labels[thin][known], bins[thin][known]), float(EVERY**3))
    prior = _shares_at(seen, apply_affine(to_grid, np.argwhere(open_)))
    labels[open_] = _decided(bins[open_], prior, taught)
    return labels


def _sure_labels(seen: HeadMap) -> Labels:
    """Class of each voxel of the network's grid, or the number of classes where in doubt."""
    best = seen.shares.argmax(axis=0).astype(np.uint8)
    doubt = (seen.shares.max(axis=0) < SURE_SHARE) & seen.in_view
    edge = ndimage.maximum_filter(best, 3) != ndimage.minimum_filter(best, 3)
    best[ndimage.binary_dilation(doubt, iterations=1) | edge] = len(CLASSES)
    best[~seen.in_view] = 0
    return best


def _shares_at(seen: HeadMap, points: npt.NDArray[np.float64]) -> Volume:
    """Shares of all classes at points of the network's grid, (7, n)."""
    coordinates = np.asarray(points, np.float32).T
    found = np.empty((len(CLASSES), coordinates.shape[1]), np.float32)
    for number, share in enumerate(seen.shares[1:], start=1):
        ndimage.map_coordinates(share, coordinates, found[number], order=1, mode="nearest")
    found[0] = 1 - found[1:].sum(axis=0)
    return np.maximum(found, 0, out=found)


def _decided(bins: npt.NDArray[np.intp], prior: Volume, taught: npt.NDArray[np.float64]) -> Labels:
    """Learn how often each tissue shows each intensity, and decide; over and over.

    Parameters
    ----------
    bins : (n,) intp ndarray
        Intensity of the voxels in doubt.
    prior : (7, n) float32 ndarray
        What the network expects there; overwritten.
    taught : (7, 64) ndarray
        How many sure voxels show which intensity.
    """
    prior += np.float32(LEAST_SHARE)
    few, few_bins = prior[:, ::LEARN_FROM], bins[::LEARN_FROM]
    shares = few
    for _ in range(ROUNDS):
        counts = [np.bincount(few_bins, weights=s, minlength=N_BINS) for s in shares]
        likelihood = _likelihood(taught + LEARN_FROM * np.array(counts))
        shares = few * likelihood[:, few_bins]
        shares /= shares.sum(axis=0)
    prior *= likelihood[:, bins]
    return _named(prior)


def _named(shares: Volume) -> Labels:
    """Brain or CSF from `BRAIN_SHARE` on, else the likeliest."""
    inside = [CLASSES.index(name) for name in ("brain", "csf")]
    brain = shares[inside].sum(axis=0) > BRAIN_SHARE * shares.sum(axis=0)
    shares[inside] *= np.where(brain, np.float32(1e6), np.float32(0))
    return shares.argmax(axis=0).astype(np.uint8)


def _likelihood(counts: npt.NDArray[np.float64]) -> Volume:
    """How likely each class shows each intensity."""
    smooth = ndimage.gaussian_filter1d(counts, SMOOTH_BINS, axis=1, mode="nearest")
    smooth /= np.maximum(smooth.sum(axis=1, keepdims=True), 1e-9)
    return ((smooth + UNEXPECTED / N_BINS) ** TRUST).astype(np.float32)
