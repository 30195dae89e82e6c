"""Coarse search of a head: many starts, scored by mutual information on a few thousand points.

No library is needed for this and a score takes under a millisecond, so that tilted, lying and
shifted heads can be tried by brute force before a fine registration starts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from anonymi_bids.core.grid import Affine, apply_affine
from anonymi_bids.core.mask import dilate_mm
from anonymi_bids.core.register import (
    axis_rotations,
    coarse_grid,
    coarsen,
    information,
    inverse,
    to_bins,
)
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.model import Image

N_BINS = 24
SCAN_MM = 8.0
ATLAS_MM = 4.0
AIR_MM = 25.0
"""Points of the scan this far from the head still count."""
SHIFTS_MM = (
    (-14.0, 0.0, 14.0),
    (-45.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0),
    (-60.0, -45.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0, 60.0),
)
TILT_DEG = 25.0
STEPS = np.array([8.0, 8.0, 8.0, 10.0, 10.0, 10.0, 0.06])
"""First steps of the local search: degrees, mm, log of the scale."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Points of a scan that are compared with the atlas.

    Attributes
    ----------
    points : (n, 3) ndarray
        mm in the scan.
    bins : (n,) int ndarray
        Binned values there.
    centre : (3,) ndarray
        Centre of the head mask, mm.
    """

    points: npt.NDArray[np.float64]
    bins: npt.NDArray[np.int_]
    centre: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Target:
    """Atlas binned on a coarse grid; beside and above the grid there is air.

    Attributes
    ----------
    bins : (I, J, K) int ndarray
        Paint level and, in the upper half, brain.
    to_index : (4, 4) ndarray
        Atlas mm → index.
    centre : (3,) ndarray
        Centre of the head, mm.
    """

    bins: npt.NDArray[np.int_]
    to_index: Affine
    centre: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Guess:
    """A placement of the atlas and its score 0 … 1."""

    atlas_to_image: Affine
    score: float


def make_probe(scan: Image, mask: npt.NDArray[np.bool_], *, spacing_mm: float = SCAN_MM) -> Probe:
    """Thin a scan to points in and round its head.

    Parameters
    ----------
    scan : Image
        Finite values.
    mask : (I, J, K) bool ndarray
        Head of the scan.
    spacing_mm : float
    """
    affine, shape = coarse_grid(scan.data.shape, scan.affine, spacing_mm)
    values = coarsen(scan.data, scan.affine, affine, shape)
    inside = coarsen(mask.astype(np.float32), scan.affine, affine, shape) > 0.5
    if not inside.any():
        inside = np.ones(shape, bool)
    near = dilate_mm(inside, affine, AIR_MM)
    low, high = np.percentile(values[near], (0.5, 99.5))
    index = np.argwhere(near)
    return Probe(
        apply_affine(affine, index),
        to_bins(values[near], N_BINS, float(low), float(high)),
        apply_affine(affine, np.argwhere(inside).mean(axis=0)),
    )


@functools.lru_cache(maxsize=4)
def make_target(atlas: Atlas, *, brain_only: bool = False) -> Target:
    """Bin the atlas; with `brain_only` as it would look without skull and scalp."""
    affine, shape = coarse_grid(atlas.labels.data.shape, atlas.labels.affine, ATLAS_MM)
    painted = atlas.painted.data
    if brain_only:
        painted = np.where(atlas.brain.data, painted, np.float32(0))
    smooth = ndimage.gaussian_filter(painted, 0.3 * SCAN_MM / float(atlas.painted.affine[0, 0]))
    values = coarsen(smooth, atlas.painted.affine, affine, shape)
    brain = coarsen(atlas.brain.data.astype(np.float32), atlas.brain.affine, affine, shape) > 0.5
    half = N_BINS // 2
    bins = to_bins(values, half, 0.0, 112.0) + half * brain
    head = atlas.head.data if not brain_only else atlas.brain.data
    centre = apply_affine(atlas.head.affine, np.argwhere(head).mean(axis=0))
    return Target(bins, inverse(affine), centre)


def score(probe: Probe, target: Target, image_to_atlas: Affine) -> float:
    """Information coefficient of scan and atlas, lowered where the scan leaves the atlas' neck."""
    index = np.rint(apply_affine(target.to_index @ image_to_atlas, probe.points)).astype(np.int64)
    known = index[:, 2] >= 0
    counts = target.bins.shape
    outside = (
        (index[:, 0] < 0)
        | (index[:, 0] >= counts[0])
        | (index[:, 1] < 0)
        | (index[:, 1] >= counts[1])
        | (index[:, 2] >= counts[2])
    )
    index = np.clip(index, 0, np.array(counts) - 1)
    found = target.bins[index[:, 0], index[:, 1], index[:, 2]]
    found = np.where(outside, 0, found)
    share = float(known.mean())
    value = information(probe.bins[known], found[known], N_BINS)
    return value * min(1.0, share / 0.6)


def place(
    probe: Probe,
    target: Target,
    rotation: npt.NDArray[np.float64],
    shift: npt.ArrayLike,
    scale: float = 1.0,
) -> Affine:
    """Image → atlas: the scan's head centre goes to the atlas' head centre plus a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * scale
    matrix[:3, 3] = target.centre + np.asarray(shift, float) - matrix[:3, :3] @ probe.centre
    return matrix


def tilted_starts() -> list[npt.NDArray[np.float64]]:
    """Rotations round the header's orientation: none, and ± `TILT_DEG` about each axis."""
    turns = [np.eye(3)]
    for axis in range(3):
        for sign in (1, -1):
            angles = np.zeros(3)
            angles[axis] = sign * TILT_DEG
            turns.append(Rotation.from_euler("xyz", angles, degrees=True).as_matrix())
    return turns


def search(
    probe: Probe,
    target: Target,
    rotations: Iterable[npt.NDArray[np.float64]],
    *,
    keep: int = 4,
    scales: tuple[float, ...] = (1.0, 1.15),
) -> list[Guess]:
    """Try rotations × shifts × scales, polish the best few.

    Parameters
    ----------
    probe, target : Probe, Target
    rotations : iterable of (3, 3) ndarray
        Image → atlas.
    keep : int
        How many of the best starts, one a rotation, are polished.
    scales : tuple of float
        Image → atlas.

    Returns
    -------
    list of Guess
        Best first.
    """
    thin = Probe(probe.points[::3], probe.bins[::3], probe.centre)
    best: list[tuple[float, int, Affine]] = []
    for number, rotation in enumerate(rotations):
        tried = []
        for scale in scales:
            for x in SHIFTS_MM[0]:
                for y in SHIFTS_MM[1]:
                    for z in SHIFTS_MM[2]:
                        start = place(probe, target, rotation, (x, y, z), scale)
                        tried.append((score(thin, target, start), start))
        top = max(tried, key=lambda pair: pair[0])
        best.append((top[0], -number, top[1]))
    best.sort(key=lambda item: item[:2], reverse=True)
    polished = [polish(probe, target, start) for _, _, start in best[:keep]]
    polished.sort(key=lambda guess: -guess.score)
    # A simplex can stall; a fresh one from where it stopped costs little.
    again = [polish(probe, target, inverse(g.atlas_to_image)) for g in polished[:2]]
    return sorted([*again, *polished], key=lambda guess: -guess.score)


def polish(probe: Probe, target: Target, image_to_atlas: Affine) -> Guess:
    """Local search over rotation, shift and one scale."""
    scale = float(np.cbrt(np.linalg.det(image_to_atlas[:3, :3])))
    rotation = image_to_atlas[:3, :3] / scale
    shift = apply_affine(image_to_atlas, probe.centre) - target.centre

    def matrix(values: npt.NDArray[np.float64]) -> Affine:
        turn = Rotation.from_euler("xyz", values[:3], degrees=True).as_matrix()
        return place(
            probe, target, turn @ rotation, shift + values[3:6], scale * float(np.exp(values[6]))
        )

    def cost(values: npt.NDArray[np.float64]) -> float:
        size = np.log(scale) + values[6]
        unlikely = max(0.0, abs(size - 0.03) - 0.18)
        return unlikely - score(probe, target, matrix(values))

    simplex = np.vstack([np.zeros(7), np.diag(STEPS)])
    found = optimize.minimize(
        cost,
        np.zeros(7),
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": 350, "xatol": 0.1, "fatol": 1e-4},
    )
    return Guess(inverse(matrix(found.x)), -float(found.fun))


def lying_starts() -> list[npt.NDArray[np.float64]]:
    """List the rotations for a header that names the axes wrongly, identity left out."""
    return axis_rotations()[1:]
