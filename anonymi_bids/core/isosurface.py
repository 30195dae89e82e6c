"""Closed, smooth surfaces of genus 0 round a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from anonymi_bids.core.grid import Affine, apply_affine, grid_around, voxel_sizes
from anonymi_bids.core.mask import largest_component
from anonymi_bids.core.surface import vertex_graph
from anonymi_bids.core.topology import FORWARD, PATHS, structure, without_handles

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]
Triangles = npt.NDArray[np.int64]

SPACING_MM = 1.5
SMOOTH_MM = 1.2
SMOOTH_VOXELS = 0.9
"""Least low-pass along each axis, so that coarse voxels leave no steps."""
PAD = 3
TAUBIN = (0.5, -0.53)
"""Shrinking and growing steps that keep the volume: Taubin 1995, doi:10.1145/218380.218473."""


def closed_surface(
    mask: Mask,
    affine: Affine,
    *,
    spacing_mm: float = SPACING_MM,
    smooth_mm: float = SMOOTH_MM,
    rounds: int = 8,
) -> tuple[Points, Triangles]:
    """Surface of the largest piece of a mask: closed, smooth, without handles.

    Parameters
    ----------
    mask : (I, J, K) bool ndarray
        Where it reaches the border of the image, the surface is closed there.
    affine : (4, 4) ndarray
        Voxel → mm.
    spacing_mm : float
        Edge of the lattice the surface is drawn in; its vertices lie closer than this on average.
    smooth_mm : float
        Standard deviation of the low-pass before, at least 0.9 voxels along each axis.
    rounds : int
        Of smoothing the mesh.

    Returns
    -------
    vertices : (n, 3) float64 ndarray
        mm.
    triangles : (m, 3) int64 ndarray
        Counter-clockwise seen from outside.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError("The mask is empty, so it has no surface; give one with a head in it.")
    share, work = _on_lattice(mask, affine, spacing_mm, smooth_mm)
    inside = largest_component(share > 0.5)
    outside, count = ndimage.label(~inside, structure())
    if count > 1:
        inside = outside != outside[0, 0, 0]
    whole = without_handles(inside, 1.0 - share)
    vertices, triangles = tetrahedra_surface(whole, share)
    vertices = apply_affine(work, vertices)
    if np.linalg.det(work[:3, :3]) < 0:
        triangles = triangles[:, ::-1].copy()
    return smoothed(vertices, triangles, rounds), triangles


def _on_lattice(
    mask: Mask, affine: Affine, spacing_mm: float, smooth_mm: float
) -> tuple[Volume, Affine]:
    """Low-passed mask on an isotropic lattice along the image's axes, with air around."""
    work, shape = grid_around(mask.shape, affine, spacing_mm)
    work[:3, 3] = apply_affine(work, (-PAD, -PAD, -PAD))
    target = tuple(n + 2 * PAD for n in shape)
    sizes = voxel_sizes(affine)
    sigma = np.maximum(smooth_mm / sizes, SMOOTH_VOXELS)
    margin = [int(np.ceil(3 * width)) + 1 for width in sigma]
    soft = np.pad(mask, [(m, m) for m in margin]).astype(np.float32)
    soft = ndimage.gaussian_filter(soft, sigma, truncate=3)
    matrix = np.linalg.inv(affine) @ work
    moved = ndimage.affine_transform(
        soft, matrix[:3, :3], matrix[:3, 3] + margin, target, order=1, mode="nearest"
    )
    return np.asarray(moved, np.float32), work


def tetrahedra_surface(inside: Mask, share: Volume) -> tuple[Points, Triangles]:
    """Surface between a mask and its background, through the tetrahedra of the lattice.

    Parameters
    ----------
    inside : (I, J, K) bool ndarray
        Must not touch the grid's border.
    share : (I, J, K) float32 ndarray
        Places the vertices on the edges of the lattice where it crosses 0.5; where it contradicts
        `inside` they lie near the corner inside.

    Returns
    -------
    vertices : (n, 3) float64 ndarray
        Voxel indices.
    triangles : (m, 3) int64 ndarray
        Counter-clockwise seen from outside on a right-handed lattice.
    """
    strides = np.array([inside.shape[1] * inside.shape[2], inside.shape[2], 1])
    flat = inside.ravel()
    corners = _tetrahedra(inside, strides)
    within = flat[corners]
    count = within.sum(axis=1)
    edges: list[npt.NDArray[np.int64]] = []
    for n_inside in (1, 2, 3):
        chosen = corners[count == n_inside]
        order = np.argsort(~within[count == n_inside], axis=1, kind="stable")
        edges += _cuts(np.take_along_axis(chosen, order, axis=1), n_inside)
    cut = np.concatenate(edges)  # (m, 3, 2): three edges of the lattice a triangle, inside first
    middle = _indices(cut, inside.shape).mean(axis=2)
    normal = np.cross(middle[:, 1] - middle[:, 0], middle[:, 2] - middle[:, 0])
    ends = _indices(cut, inside.shape).sum(axis=1)
    inward = np.einsum("mi,mi->m", normal, ends[:, 1] - ends[:, 0]) < 0
    cut[inward] = cut[inward][:, ::-1]
    keys = cut[..., 0] * flat.size + cut[..., 1]
    unique, triangles = np.unique(keys, return_inverse=True)
    first, second = np.divmod(unique, flat.size)
    low, high = (share.ravel()[index].astype(float) for index in (first, second))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(low > high, (low - 0.5) / (low - high), 0.5)
    part = np.clip(np.nan_to_num(part, nan=0.5), 0.05, 0.95)[:, None]
    start, end = (np.column_stack(np.unravel_index(i, inside.shape)) for i in (first, second))
    return start + part * (end - start), triangles.reshape(-1, 3).astype(np.int64)


def _tetrahedra(inside: Mask, strides: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Corners of the tetrahedra in the cubes that the surface passes through, (t, 4) indices."""
    shape = tuple(n - 1 for n in inside.shape)
    some, every = np.zeros(shape, bool), np.ones(shape, bool)
    for offset in ((0, 0, 0), *FORWARD):
        corner = inside[tuple(slice(o, o + n) for o, n in zip(offset, shape, strict=True))]
        some |= corner
        every &= corner
    cubes = np.argwhere(some & ~every) @ strides
    paths = np.array(
        [[0, strides[a], strides[a] + strides[b], strides.sum()] for a, b, _ in PATHS]
    )
    return (cubes[:, None, None] + paths).reshape(-1, 4)


def _cuts(corners: npt.NDArray[np.int64], n_inside: int) -> list[npt.NDArray[np.int64]]:
    """Triangles of tetrahedra whose first `n_inside` corners lie inside, (t, 3, 2) each."""
    a, b, c, d = corners.T
    if n_inside == 1:
        wanted = [((a, b), (a, c), (a, d))]
    elif n_inside == 3:
        wanted = [((a, d), (b, d), (c, d))]
    else:
        wanted = [((a, c), (a, d), (b, d)), ((a, c), (b, d), (b, c))]
    return [np.stack([np.stack(edge, axis=1) for edge in triangle], axis=1) for triangle in wanted]


def _indices(flat: npt.NDArray[np.int64], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return np.stack(np.unravel_index(flat, shape), axis=-1).astype(np.float64)


def smoothed(vertices: Points, triangles: Triangles, rounds: int) -> Points:
    """Smooth a mesh without shrinking it (Taubin's λ|μ filter)."""
    graph = vertex_graph(triangles, len(vertices)).astype(np.float64)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    mean = sparse.diags(1 / np.maximum(degree, 1)) @ graph
    for _ in range(rounds):
        for weight in TAUBIN:
            vertices = vertices + weight * (mean @ vertices - vertices)
    return vertices


def describe(vertices: npt.NDArray[Any], triangles: Triangles) -> dict[str, float]:
    """Tell what a mesh is: size, genus, whether it is closed, length of its edges.

    Returns
    -------
    dict
        ``n_vertices``, ``pieces``, ``closed`` (1: each edge belongs to two triangles that run
        along it in opposite directions), ``genus`` (NaN if not closed or not one piece),
        ``edge_mean_mm``, ``edge_p95_mm``, ``edge_max_mm``.
    """
    n = len(vertices)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    forth, back = edges[:, 0] * n + edges[:, 1], edges[:, 1] * n + edges[:, 0]
    once = np.unique(forth)
    closed = len(once) == len(forth) and bool(np.isin(back, once).all())
    pieces = sparse.csgraph.connected_components(vertex_graph(triangles, n), directed=False)[0]
    euler = n - len(edges) / 2 + len(triangles)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    return {
        "n_vertices": n,
        "pieces": int(pieces),
        "closed": int(closed),
        "genus": (2 - euler) / 2 if closed and pieces == 1 else float("nan"),
        "edge_mean_mm": float(lengths.mean()),
        "edge_p95_mm": float(np.percentile(lengths, 95)),
        "edge_max_mm": float(lengths.max()),
    }
