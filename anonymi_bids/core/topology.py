"""Masks without handles: shrink a ball round a mask and never change its topology.

Neighbourhood is that of Kuhn's division of each cube of the lattice into six tetrahedra: 14
neighbours, the same for a mask and for its background. A surface drawn through these tetrahedra
(`anonymi_bids.core.isosurface`) has the topology of the mask. Removing a voxel keeps it if, among
its 14 neighbours, those inside hang together and those outside do (a *simple* voxel).
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.mask import distance_mm

Mask = npt.NDArray[np.bool_]

FORWARD = tuple(o for o in itertools.product((0, 1), repeat=3) if any(o))
"""The seven edges that go out from a corner of the lattice."""
OFFSETS = FORWARD + tuple((-a, -b, -c) for a, b, c in FORWARD)
PATHS = tuple(itertools.permutations(range(3)))
"""Each order of the axes is one tetrahedron: a path from a cube's first to its last corner."""


@functools.cache
def structure() -> Mask:
    """Neighbourhood as `scipy.ndimage.label` wants it, (3, 3, 3) bool."""
    near = np.zeros((3, 3, 3), bool)
    near[1, 1, 1] = True
    for a, b, c in OFFSETS:
        near[a + 1, b + 1, c + 1] = True
    return near


@functools.cache
def _simple_codes() -> Mask:
    """Whether a voxel is simple, by the bits of its neighbours, (2**14,) bool."""
    joined = [
        [tuple(np.subtract(p, q)) in OFFSETS for q in OFFSETS]  # neighbours of each other
        for p in OFFSETS
    ]
    links = [sum(1 << q for q in range(14) if row[q]) for row in joined]

    def connected(bits: int) -> bool:
        if not bits:
            return False
        reached = bits & -bits
        while True:
            grown = reached
            for p in range(14):
                if reached >> p & 1:
                    grown |= links[p] & bits
            if grown == reached:
                return reached == bits
            reached = grown

    whole = (1 << 14) - 1
    return np.array([connected(code) and connected(whole ^ code) for code in range(1 << 14)])


def euler_number(mask: Mask) -> int:
    """Pieces − handles + cavities of a mask, counted in the lattice of tetrahedra."""
    inside = np.pad(mask, 1)
    total = int(inside.sum())
    corners: dict[tuple[int, ...], Mask] = {(0, 0, 0): inside[:-1, :-1, :-1]}
    for offset in FORWARD:
        corners[offset] = inside[tuple(slice(o, o - 1 or None) for o in offset)]
    base = corners[0, 0, 0]
    for offset in FORWARD:
        total -= int((base & corners[offset]).sum())
    for p, q in itertools.permutations(FORWARD, 2):
        if all(a <= b for a, b in zip(p, q, strict=True)):
            total += int((base & corners[p] & corners[q]).sum())
    for first, second, _ in PATHS:
        one = tuple(int(axis == first) for axis in range(3))
        two = tuple(int(axis in (first, second)) for axis in range(3))
        total -= int((base & corners[one] & corners[two] & corners[1, 1, 1]).sum())
    return total


def is_ball(mask: Mask) -> bool:
    """Whether a mask is one piece without cavities and handles: its surface has genus 0."""
    near = structure()
    if ndimage.label(mask, near)[1] != 1:
        return False
    if ndimage.label(np.pad(~mask, 1, constant_values=True), near)[1] != 1:
        return False
    return euler_number(mask) == 1


def ball_around(mask: Mask, first_steps: int = 4) -> Mask:
    """Smallest closing (in doubling steps) of a mask that is a ball; at last its bounding box.

    Parameters
    ----------
    mask : (I, J, K) bool ndarray
        Not empty; at least one voxel away from the grid's border.
    first_steps : int
        Radius of the first closing, voxels.
    """
    steps = first_steps
    room = min(mask.shape) // 3
    while steps <= room:
        padded = np.pad(mask, steps + 1)
        apart = distance_mm(~padded)
        grown = apart <= steps
        closed = distance_mm(grown) > steps
        closed |= padded
        closed = ndimage.binary_fill_holes(closed)
        inner = slice(steps + 1, -steps - 1)
        ball = np.asarray(closed[inner, inner, inner], bool)
        if is_ball(ball):
            return ball
        steps *= 2
    ball = np.zeros(mask.shape, bool)
    ball[ndimage.find_objects(mask.astype(np.uint8))[0]] = True
    return ball


def without_handles(mask: Mask, outside: npt.NDArray[np.floating]) -> Mask:
    """Smallest ball round a mask that homotopic thinning finds: holes are spanned by thin walls.

    Parameters
    ----------
    mask : (I, J, K) bool ndarray
        Not empty.
    outside : (I, J, K) ndarray
        The greater, the earlier a voxel is taken away, such as the distance from the mask.

    Returns
    -------
    (I, J, K) bool ndarray
        Holds `mask`; one piece, no cavity, no handle.

    Notes
    -----
    Voxels of the same parity in all three axes are no neighbours, so each of the eight classes
    may be thinned at once. Simple voxels as in Bertrand and Malandain, Pattern Recognition
    Letters 15 (1994) 169-175, for another neighbourhood.
    """
    padded = np.pad(mask, 2)
    order = np.pad(outside, 2, mode="edge")
    ball = ball_around(padded)
    flat = ball.ravel()
    strides = np.array([ball.shape[1] * ball.shape[2], ball.shape[2], 1])
    steps = (np.array(OFFSETS) @ strides).tolist()
    todo = np.flatnonzero(ball & ~padded)
    parity = np.zeros(len(todo), np.int64)
    for axis, place in enumerate(np.unravel_index(todo, ball.shape)):
        parity += (place % 2) << axis
    rank = order.ravel()[todo]
    simple = _simple_codes()
    for limit in np.percentile(rank, np.arange(95, -1, -5)) if len(todo) else ():
        while True:
            open_ = flat[todo] & (rank >= limit)
            removed = 0
            for group in range(8):
                chosen = todo[open_ & (parity == group)]
                code = np.zeros(len(chosen), np.int64)
                for bit, step in enumerate(steps):
                    code |= flat[chosen + step].astype(np.int64) << bit
                gone = chosen[simple[code]]
                flat[gone] = False
                removed += len(gone)
            if not removed:
                break
    return flat.reshape(ball.shape)[2:-2, 2:-2, 2:-2].copy()
