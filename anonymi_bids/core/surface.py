"""Triangle meshes: normals, volume, closing of openings, and their share of each voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from anonymi_bids.core.grid import Affine, apply_affine

Points = npt.NDArray[np.floating[Any]]
Triangles = npt.NDArray[np.integer[Any]]

_CHUNK = 2_000_000


def vertex_normals(vertices: Points, triangles: Triangles) -> npt.NDArray[np.float64]:
    """Outward unit normal of each vertex (area weighted), (n, 3).

    Parameters
    ----------
    vertices : (n, 3) ndarray
        mm.
    triangles : (m, 3) int ndarray
        Counter-clockwise seen from outside.
    """
    corners = vertices[triangles].astype(np.float64)
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(vertices), 3))
    for axis in range(3):
        normals[:, axis] = np.bincount(
            triangles.ravel(), np.repeat(faces[:, axis], 3), minlength=len(vertices)
        )
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.where(lengths > 0, lengths, 1)


def signed_volume(vertices: Points, triangles: Triangles) -> float:
    """Volume inside a closed mesh in mm³; negative if its triangles face inwards."""
    corners = vertices[triangles].astype(np.float64)
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def vertex_graph(triangles: Triangles, n_vertices: int) -> sparse.csr_matrix:
    """Adjacency of vertices, (n, n) sparse, 1 where two vertices share an edge."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = edges.astype(np.int64)
    ones = np.ones(len(edges))
    graph = sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(n_vertices, n_vertices))
    joined = (graph + graph.T).tocsr()
    joined.data[:] = 1
    return joined


def pieces(triangles: Triangles, n_vertices: int) -> npt.NDArray[np.int32]:
    """Find the connected piece each vertex belongs to, as a number, (n,)."""
    return sparse.csgraph.connected_components(
        vertex_graph(triangles, n_vertices), directed=False
    )[1]


def opening_rims(triangles: Triangles, n_vertices: int) -> list[npt.NDArray[np.int64]]:
    """Edges around each opening of a mesh.

    Returns
    -------
    list of (k, 2) int ndarray
        Directed edges that only one triangle uses, one array per opening, in a stable order.
    """
    triangles = triangles.astype(np.int64)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    keys = edges[:, 0] * n_vertices + edges[:, 1]
    back = edges[:, 1] * n_vertices + edges[:, 0]
    border = edges[~np.isin(keys, back)]
    if not len(border):
        return []
    graph = sparse.coo_matrix(
        (np.ones(len(border)), (border[:, 0], border[:, 1])), shape=(n_vertices, n_vertices)
    )
    rim_of = sparse.csgraph.connected_components(graph, directed=False)[1][border[:, 0]]
    return [border[rim_of == rim] for rim in dict.fromkeys(rim_of.tolist())]


def cap_openings(
    triangles: Triangles, n_vertices: int
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int64]]]:
    """Close each opening by a fan of triangles to one new vertex, the centre of its rim.

    Returns
    -------
    triangles : (m + k, 3) int ndarray
        Vertex ``n_vertices + i`` is the centre of the i-th rim.
    rims : list of (r,) int ndarray
        Vertices of each rim; `with_centres` appends their centres to any set of vertices.
    """
    rims = opening_rims(triangles, n_vertices)
    fans = [
        np.column_stack([rim[:, 1], rim[:, 0], np.full(len(rim), n_vertices + i)])
        for i, rim in enumerate(rims)
    ]
    closed = np.concatenate([triangles.astype(np.int64), *fans])
    return closed, [np.unique(rim) for rim in rims]


def with_centres(vertices: Points, rims: list[npt.NDArray[np.int64]]) -> Points:
    """Append the centre of each rim to the vertices."""
    return np.concatenate([vertices, *[vertices[rim].mean(axis=0)[None] for rim in rims]])


def voxelise(
    vertices: Points,
    triangles: Triangles,
    affine: Affine,
    shape: tuple[int, int, int],
    *,
    rays: int = 2,
) -> npt.NDArray[np.float32]:
    """Share of each voxel that lies inside a closed mesh.

    Rays run along the last axis, ``rays`` × ``rays`` per voxel; signed crossings are summed
    (winding number) and clipped to 0…1, so pieces that overlap are united. Exact along the ray.
    Works for left-handed grids too.

    Parameters
    ----------
    vertices : (n, 3) ndarray
        mm.
    triangles : (m, 3) int ndarray
        Closed, counter-clockwise seen from outside.
    affine : (4, 4) ndarray
        Voxel → mm of the grid.
    shape : (3,) tuple of int
    rays : int

    Returns
    -------
    (I, J, K) float32 ndarray
        0…1.
    """
    to_voxel = np.asarray(np.linalg.inv(affine), dtype=np.float64)
    corners = apply_affine(to_voxel, vertices.astype(np.float64))[triangles.astype(np.int64)]
    mirrored = float(np.sign(np.linalg.det(affine[:3, :3])))
    share = np.zeros(shape, dtype=np.float32)
    for a in range(rays):
        for b in range(rays):
            offset = (np.array([a, b]) + 0.5) / rays - 0.5
            share += _inside_rays(corners - np.append(offset, 0.0), shape, mirrored)
    share /= rays * rays
    return share


def _inside_rays(
    corners: npt.NDArray[np.float64], shape: tuple[int, int, int], mirrored: float
) -> npt.NDArray[np.float32]:
    """Share inside along one ray per voxel column, through integer (i, j)."""
    n_i, n_j, n_k = shape
    # Two cells more than the grid: what a crossing adds at and beyond its end.
    n_cells = n_k + 2
    steps = np.zeros(n_i * n_j * n_cells, dtype=np.float32)
    for column, height, sign in _crossings(corners, n_i, n_j):
        # A crossing at height h enters voxel floor(h + 1/2) and fills what lies above it.
        level = np.clip(height + 0.5, 0.0, n_k)
        below = level.astype(np.int64)
        part = (level - below).astype(np.float32)
        weight = (sign * mirrored).astype(np.float32)
        cell = column * n_cells + below
        steps += np.bincount(cell, weight * (1 - part), minlength=len(steps)).astype(np.float32)
        steps += np.bincount(cell + 1, weight * part, minlength=len(steps)).astype(np.float32)
    winding = np.cumsum(steps.reshape(n_i, n_j, n_cells), axis=2, dtype=np.float32)
    return np.clip(winding[:, :, :n_k], 0, 1)


def _crossings(corners: npt.NDArray[np.float64], n_i: int, n_j: int) -> Any:
    """Yield (column, height, sign) of all rays that meet the triangles, in chunks."""
    low = np.ceil(corners[:, :, :2].min(axis=1)).astype(np.int64)
    high = np.floor(corners[:, :, :2].max(axis=1)).astype(np.int64)
    low = np.maximum(low, 0)
    high = np.minimum(high, np.array([n_i - 1, n_j - 1]))
    counts = np.maximum(high - low + 1, 0)
    total = counts[:, 0] * counts[:, 1]
    order = np.flatnonzero(total)
    ends = np.cumsum(total[order])
    start = 0
    while start < len(order):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        chosen = order[start:stop]
        found = _meet(corners[chosen], low[chosen], counts[chosen], n_j)
        if len(found[0]):
            yield found
        start = stop


def _meet(
    corners: npt.NDArray[np.float64],
    low: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    n_j: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Test every ray in every triangle's bounding box."""
    total = counts[:, 0] * counts[:, 1]
    triangle = np.repeat(np.arange(len(corners)), total)
    within = np.arange(total.sum()) - np.repeat(np.cumsum(total) - total, total)
    i = low[triangle, 0] + within // counts[triangle, 1]
    j = low[triangle, 1] + within % counts[triangle, 1]
    # A shift far below any rounding of interest keeps rays off shared edges and vertices.
    x, y = i + 1.234567e-7, j + 2.345678e-7
    p, q, r = corners[triangle, 0], corners[triangle, 1], corners[triangle, 2]
    area = (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (r[:, 0] - p[:, 0]) * (q[:, 1] - p[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        u = ((q[:, 0] - x) * (r[:, 1] - y) - (r[:, 0] - x) * (q[:, 1] - y)) / area
        v = ((r[:, 0] - x) * (p[:, 1] - y) - (p[:, 0] - x) * (r[:, 1] - y)) / area
        hit = (area != 0) & (u >= 0) & (v >= 0) & (u + v <= 1)
        height = u * p[:, 2] + v * q[:, 2] + (1 - u - v) * r[:, 2]
    # Seen from below, an outward face that is met on the way in has negative area.
    return i[hit] * n_j + j[hit], height[hit], -np.sign(area[hit])
