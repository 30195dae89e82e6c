"""Star-shaped meshes for a boundary element model: the same directions for every method.

A mesh is a radius for each of a fixed set of directions from the middle of the brain. Two heads
that agree somewhere thus have the same vertices there, and differences of forward models come from
the heads, not from the meshes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, spatial

from anonymi_bids.core.grid import Affine, apply_affine, grid_around, resample, voxel_sizes
from anonymi_bids.core.mask import dilate_mm, erode_mm, largest_component
from anonymi_bids.head.skull import INSIDE, outer_skull

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GAP_MM = 2.0
"""Least thickness of skull and of scalp, so that the meshes do not meet."""
EARS_MM = 8.0
"""What a ball of this radius does not reach inside the head (the ears) is no scalp."""


def directions(count: int) -> tuple[Floats, Ints]:
    """Points spread evenly on a sphere (Fibonacci's spiral) and their triangles."""
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    turn = np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - z**2)
    points = np.column_stack([ring * np.cos(turn), ring * np.sin(turn), z])
    triangles = spatial.ConvexHull(points).simplices.astype(np.int64)
    corners = points[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = np.einsum("mi,mi->m", normal, corners.sum(axis=1)) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return points, triangles


def radii(mask: Mask, affine: Affine, centre: Floats, towards: Floats) -> Floats:
    """Where rays from a centre leave a mask for the last time, (n,) mm."""
    soft = ndimage.gaussian_filter(mask.astype(np.float32), 1.0 / voxel_sizes(affine))
    along = np.arange(10.0, 260.0, 1.0)
    points = centre + along[:, None, None] * towards
    places = np.moveaxis(apply_affine(np.linalg.inv(affine), points), -1, 0)
    values = ndimage.map_coordinates(soft, places, order=1, mode="constant")
    last = len(along) - 1 - np.argmax(values[::-1] > 0.5, axis=0)
    low = np.take_along_axis(values, last[None], 0)[0]
    high = np.take_along_axis(values, np.minimum(last + 1, len(along) - 1)[None], 0)[0]
    return along[last] + np.clip((low - 0.5) / np.maximum(low - high, 1e-6), 0, 1)


def even(radius: Floats, triangles: Ints, rounds: int = 2) -> Floats:
    """Average radii over neighbours: steps at neck and chin are more than a mesh can hold."""
    total, count = np.zeros_like(radius), np.zeros_like(radius)
    for _ in range(rounds):
        total[:], count[:] = radius, 1.0
        for a, b in ((0, 1), (1, 2), (2, 0)):
            np.add.at(total, triangles[:, a], radius[triangles[:, b]])
            np.add.at(count, triangles[:, a], 1.0)
        radius = total / count
    return radius


@dataclass(frozen=True)
class Layer:
    """Directions, triangles and how far the surface lies along each direction."""

    towards: Floats
    triangles: Ints
    radius: Floats

    def vertices(self) -> Floats:
        """Vertices, (n, 3) mm from the centre."""
        return self.radius[:, None] * self.towards


@dataclass(frozen=True)
class Skull:
    """Inner and outer skull of the truth, shared by all methods, and the middle of the brain.

    `envelope` is the outer skull as a mask, on the grid of `affine`.
    """

    centre: Floats
    inner: Layer
    outer: Layer
    envelope: Mask
    affine: Affine


WORK_MM = 2.0


def coarse(mask: Mask, affine: Affine) -> tuple[Mask, Affine]:
    """Mask on a grid of 2 mm: what these meshes can hold."""
    work, shape = grid_around(mask.shape, affine, WORK_MM)
    return resample(mask.astype(np.float32), affine, work, shape) > 0.5, work


def skull_of(labels: npt.NDArray[np.integer], affine: Affine, count: int) -> Skull:
    """Skull from the truth's labels."""
    work, shape = grid_around(labels.shape, affine, WORK_MM)
    labels = resample(labels, affine, work, shape, order=0)
    affine = work
    inside = largest_component(np.isin(labels, INSIDE))
    closed = erode_mm(dilate_mm(inside, affine, 5.0), affine, 5.0) | inside
    envelope = outer_skull(labels, affine)
    centre = apply_affine(affine, np.argwhere(inside).mean(axis=0))
    towards, triangles = directions(count)
    inner, outer = (
        even(radii(mask, affine, centre, towards), triangles) for mask in (closed, envelope)
    )
    outer = np.maximum(outer, inner + GAP_MM)
    return Skull(
        centre, Layer(towards, triangles, inner), Layer(towards, triangles, outer), envelope, work
    )


def scalp_of(
    head: Mask, affine: Affine, skull: Skull, count: int, turn: Floats | None = None
) -> tuple[Layer, float]:
    """Scalp without ears, and the share of vertices that had to be lifted off the skull.

    Parameters
    ----------
    turn : (3, 3) ndarray, optional
        Rotation of the directions: another mesh of the same head.
    """
    head, affine = coarse(head, affine)
    body = dilate_mm(erode_mm(head, affine, EARS_MM), affine, EARS_MM)
    towards, triangles = directions(count)
    if turn is not None:
        towards = towards @ turn.T
    radius = even(radii(body, affine, skull.centre, towards), triangles)
    _, near = spatial.cKDTree(skull.outer.towards).query(towards, k=3)
    least = skull.outer.radius[near].max(axis=1) + GAP_MM
    lifted = float((radius < least).mean())
    return Layer(towards, triangles, np.maximum(radius, least)), lifted
