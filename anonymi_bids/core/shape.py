"""A statistical shape model of the human head's skin, and its fit to points on a skin.

The model is the one of ICT-FaceKit (MIT licence): principal components of scans of real people;
its identities belong to nobody. A person is mean + Σ c_k · mode_k with c ~ N(0, 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import spatial

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.surface import cap_openings, vertex_normals, with_centres
from anonymi_bids.core.warp import BiharmonicMap

Floats = npt.NDArray[np.float64]

FACE, REST, LEFT_EYE, RIGHT_EYE = range(4)
"""Values of `ShapeModel.part`."""


@dataclass(frozen=True, slots=True)
class ShapeModel:
    """Mean and modes of variation of a triangle mesh.

    Attributes
    ----------
    mean : (n, 3) float32 ndarray
        Generic neutral head, mm, x right, y forward, z up.
    modes : (k, n, 3) float32 ndarray
        Displacement of each mode for one standard deviation, mm.
    triangles : (m, 3) int ndarray
        Open at neck, mouth and eye rims.
    part : (n,) uint8 ndarray
        0 face, 1 rest of head with ears and neck, 2 left eyeball, 3 right eyeball.
    ear : (n,) uint8 ndarray
        1 left ear, 2 right ear, 0 elsewhere.
    landmarks68 : (68,) int ndarray
        Multi-PIE landmarks as vertex numbers.
    points : mapping
        Vertex numbers of ``nasion``, ``lpa``, ``rpa``.
    closed : (m + c, 3) int ndarray
        Triangles with all openings capped; for `close`.
    """

    mean: npt.NDArray[np.float32]
    modes: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.int64]
    part: npt.NDArray[np.uint8]
    ear: npt.NDArray[np.uint8]
    landmarks68: npt.NDArray[np.int64]
    points: Mapping[str, int]
    closed: npt.NDArray[np.int64]
    rims: list[npt.NDArray[np.int64]] = field(repr=False)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> ShapeModel:
        """Build the model from the arrays of ``face_shape_model.npz``."""
        triangles = np.asarray(arrays["triangles"]).astype(np.int64)
        mean = np.asarray(arrays["mean"], dtype=np.float32)
        scale = np.asarray(arrays["mode_scale"], dtype=np.float32)[:, None, None]
        closed, rims = cap_openings(triangles, len(mean))
        return cls(
            mean=mean,
            modes=np.asarray(arrays["modes"]).astype(np.float32) * scale,
            triangles=triangles,
            part=np.asarray(arrays["part"]),
            ear=np.asarray(arrays["ear"]),
            landmarks68=np.asarray(arrays["landmarks68"]).astype(np.int64),
            points={name: int(arrays[name]) for name in ("nasion", "lpa", "rpa")},
            closed=closed,
            rims=rims,
        )

    @property
    def n_modes(self) -> int:
        """Number of modes."""
        return len(self.modes)

    def vertices(self, coefficients: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Vertices of the person with these coefficients (at most `n_modes`), (n, 3) mm."""
        coefficients = np.asarray(coefficients, dtype=np.float32)
        used = self.modes[: len(coefficients)]
        return self.mean + np.tensordot(coefficients, used, axes=1).astype(np.float32)

    def sample(self, rng: np.random.Generator, *, limit: float = 2.5) -> Floats:
        """Draw the coefficients of a random person, N(0, 1) cut at ± `limit`, (k,)."""
        return np.clip(rng.standard_normal(self.n_modes), -limit, limit)

    def close(self, vertices: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Append the centres of the rims, so that `closed` may be used with the vertices."""
        return with_centres(vertices, self.rims)

    def steady(self, *, margin_mm: float = 4.0) -> npt.NDArray[np.bool_]:
        """Vertices on plain outer skin: no ears, eyeballs, nor what lies near or in an opening.

        Parameters
        ----------
        margin_mm : float
            Distance from the rims of eyes, mouth and neck.

        Returns
        -------
        (n,) bool ndarray
        """
        plain = (self.part <= REST) & (self.ear == 0)
        rims = np.concatenate(self.rims)
        near, _ = spatial.cKDTree(self.mean[rims]).query(self.mean)
        normals = vertex_normals(self.mean, self.triangles)
        return plain & (near > margin_mm) & ~_folded(self.mean, normals)


def _folded(
    vertices: npt.NDArray[Any], normals: Floats, *, reach_mm: float = 12.0
) -> npt.NDArray[np.bool_]:
    """Vertices that look at other skin within a short reach: nostrils, inner lips, ear folds."""
    tree = spatial.cKDTree(vertices)
    folded = np.zeros(len(vertices), dtype=bool)
    for step in np.arange(3.0, reach_mm, 2.0):
        ahead = vertices + step * normals
        distance, nearest = tree.query(ahead)
        facing = np.einsum("ij,ij->i", normals[nearest], normals) < -0.2
        folded |= (distance < 0.45 * step) & facing
    return folded


def spread(points: Floats, spacing_mm: float) -> npt.NDArray[np.int64]:
    """Choose points about evenly: the first of each cell of a lattice, in stable order.

    Returns
    -------
    (k,) int ndarray
        Indices into `points`, ascending.
    """
    cells = np.floor(points / spacing_mm).astype(np.int64)
    _, first = np.unique(cells, axis=0, return_index=True)
    return np.sort(first)


def similarity(source: Floats, target: Floats) -> Floats:
    """Least-squares rotation, uniform scale and shift of matched points (Umeyama 1991).

    doi:10.1109/34.88573

    Returns
    -------
    (4, 4) float64 ndarray
        Maps source to target.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    s, t = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(t.T @ s / len(s))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(flip) @ vt
    scale = float((singular * flip).sum() / s.var(axis=0).sum())
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation
    matrix[:3, 3] = target_mean - scale * rotation @ source_mean
    return matrix


def affinity(source: Floats, target: Floats) -> Floats:
    """Least-squares affine map of matched points, (4, 4), source to target."""
    design = np.column_stack([source, np.ones(len(source))])
    solution, *_ = np.linalg.lstsq(design, target, rcond=None)
    matrix = np.eye(4)
    matrix[:3] = solution.T
    return matrix


class Matcher:
    """Nearest skin points, position and normal taken together.

    Parameters
    ----------
    points, normals : (p, 3) ndarray
        Skin, mm, and its outward unit normals.
    normal_weight_mm : float
        How many mm a full unit of normal is worth.
    """

    def __init__(self, points: Floats, normals: Floats, *, normal_weight_mm: float = 12.0):
        self.points, self.normals = points, normals
        self._weight = normal_weight_mm
        self._tree = spatial.cKDTree(np.column_stack([points, normal_weight_mm * normals]))

    def match(
        self, vertices: Floats, normals: Floats, reach_mm: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Find the skin point of each vertex and whether the pair is to be trusted."""
        _, nearest = self._tree.query(np.column_stack([vertices, self._weight * normals]))
        apart = np.linalg.norm(self.points[nearest] - vertices, axis=1)
        agree = np.einsum("ij,ij->i", self.normals[nearest], normals) > 0.6
        return nearest, (apart < reach_mm) & agree


@dataclass(frozen=True, slots=True)
class ShapeFit:
    """A shape model fitted to a skin.

    Attributes
    ----------
    vertices : (n, 3) float64 ndarray
        The model's vertices on the skin, mm of the skin.
    model_to_skin : (4, 4) float64 ndarray
        Affine part.
    coefficients : (k,) float64 ndarray
    distance_mm : (v,) float64 ndarray
        Distance to the skin of the vertices that were used.
    """

    vertices: Floats
    model_to_skin: Floats
    coefficients: Floats
    distance_mm: Floats


def fit_model(
    model: ShapeModel,
    points: Floats,
    normals: Floats,
    start: Floats,
    *,
    lowest_mm: float = -np.inf,
    ridge: float = 25.0,
    smoothing: tuple[float, ...] = (30.0, 5.0, 1.0),
) -> ShapeFit:
    """Fit the model to a skin: similarity, then affine and modes in turn, then a smooth residual.

    Parameters
    ----------
    model : ShapeModel
    points, normals : (p, 3) ndarray
        Skin, mm, and its outward unit normals.
    start : (4, 4) ndarray
        Rough map of model mm to skin mm.
    lowest_mm : float
        Vertices that come to lie below this height of the skin's space are not matched (neck cut).
    ridge : float
        Weight of the coefficients' squares.
    smoothing : tuple of float
        Of the residual, from stiff to supple; empty for none.

    Returns
    -------
    ShapeFit
    """
    matcher = Matcher(points, normals)
    steady = np.flatnonzero(model.steady())
    coefficients, matrix = np.zeros(model.n_modes), np.array(start, dtype=np.float64)
    for step in range(60):
        shape = model.vertices(coefficients).astype(np.float64)
        placed = apply_affine(matrix, shape)
        found = _pairs(model, matcher, placed, steady, lowest_mm, max(6.0, 25.0 - 0.7 * step))
        used, nearest = found
        if step < 30:
            matrix = similarity(shape[used], points[nearest])
        elif step % 2 == 0:
            matrix = affinity(shape[used], points[nearest])
        else:
            n_modes = min(model.n_modes, 6 + 2 * (step - 30))
            coefficients = _solve_modes(
                model, matrix, used, points[nearest], normals[nearest], n_modes, ridge
            )
    placed = apply_affine(matrix, model.vertices(coefficients))
    for weight in smoothing:
        used, nearest = _pairs(model, matcher, placed, steady, lowest_mm, 8.0)
        placed = placed + _residual(placed, used, points[nearest], normals[nearest], weight)
    used, nearest = _pairs(model, matcher, placed, steady, lowest_mm, 15.0)
    apart = np.einsum("ij,ij->i", placed[used] - points[nearest], normals[nearest])
    return ShapeFit(placed, matrix, coefficients, np.abs(apart))


def _pairs(
    model: ShapeModel,
    matcher: Matcher,
    placed: Floats,
    steady: npt.NDArray[np.int64],
    lowest_mm: float,
    reach_mm: float,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    own = vertex_normals(placed, model.triangles)[steady]
    nearest, trusted = matcher.match(placed[steady], own, reach_mm)
    trusted &= placed[steady, 2] > lowest_mm
    return steady[trusted], nearest[trusted]


def _solve_modes(
    model: ShapeModel,
    matrix: Floats,
    used: npt.NDArray[np.int64],
    targets: Floats,
    normals: Floats,
    n_modes: int,
    ridge: float,
) -> Floats:
    """Coefficients that minimise point-to-plane distances plus ridge · |c|²."""
    moved = np.einsum(
        "kvj,ij->kvi", model.modes[:n_modes, used].astype(np.float64), matrix[:3, :3]
    )
    design = np.einsum("kvi,vi->vk", moved, normals)
    gap = np.einsum("vi,vi->v", targets - apply_affine(matrix, model.mean[used]), normals)
    solution = np.linalg.solve(design.T @ design + ridge * np.eye(n_modes), design.T @ gap)
    return np.append(solution, np.zeros(model.n_modes - n_modes))


def _residual(
    placed: Floats,
    used: npt.NDArray[np.int64],
    targets: Floats,
    normals: Floats,
    smoothing: float,
) -> Floats:
    """Smooth displacement of all vertices that closes the gaps along the skin's normals."""
    gap = np.einsum("vi,vi->v", targets - placed[used], normals)
    step = gap[:, None] * normals
    chosen = spread(placed[used], 6.0)
    return BiharmonicMap(placed[used][chosen], step[chosen], smoothing=smoothing)(placed)
