"""The inside of a digital person: a label head warped to the skin and painted."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage, spatial

from anonymi_bids.core.grid import Affine, apply_affine, voxel_sizes
from anonymi_bids.core.shape import FACE, LEFT_EYE, RIGHT_EYE, spread
from anonymi_bids.core.warp import BiharmonicMap
from anonymi_bids.phantoms.library import Template, load_model, load_template
from anonymi_bids.phantoms.paint import (
    BONE,
    BRAIN,
    CAVITY,
    COAT,
    CSF,
    FAT,
    GREY,
    MARROW,
    MUSCLE,
    SKIN,
    WHITE,
    Volume,
    depth_below,
    signals,
    upsample,
)

Floats = npt.NDArray[np.float64]

SKIN_MM = 1.7
"""Thickness of the skin."""

SKULL_MM = 2.5
"""Least thickness of bone between brain and soft tissue."""

COARSE_MM = 6.0
"""The warp is computed on a grid this wide and interpolated linearly."""

_SLAB = 16
_SEPTA_MM = np.array([[4.0], [6.0], [16.0]], dtype=np.float32)
_CUT_SLICES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """Smooth map of a person's mm to template mm, and the person's own random textures.

    Attributes
    ----------
    template : Template
    to_template : BiharmonicMap
    skin : cKDTree
        Of the skin's vertices, person's mm.
    shift : (3, a, b, c) float64 ndarray
        Displacement deep inside, mm, on a lattice of 30 mm.
    thickness, septa : float32 ndarray
        Random fields on lattices over the template; muscle fibres run along the head.
    """

    template: Template
    to_template: BiharmonicMap = field(repr=False)
    skin: spatial.cKDTree = field(repr=False)
    shift: Floats = field(repr=False)
    thickness: Volume = field(repr=False)
    septa: Volume = field(repr=False)

    def __call__(self, points: Floats) -> Floats:
        """Map points of the person, (n, 3) mm, to template mm."""
        distance, _ = self.skin.query(points)
        weight = np.clip((distance - 8) / 16, 0, 1)[:, None]
        where = ((points + 200) / 30).T
        moved = np.stack(
            [ndimage.map_coordinates(part, where, order=1, mode="nearest") for part in self.shift],
            axis=1,
        )
        return self.to_template(points + weight * moved)


def make_warp(head: str, vertices: Floats, seed: int) -> Warp:
    """Build the warp from a person's skin to a label head.

    Parameters
    ----------
    head : str
    vertices : (n, 3) ndarray
        The person's skin, its own mm.
    seed : int
        Of the person: textures and depths are the same at each visit.

    Returns
    -------
    Warp
    """
    template, model = load_template(head), load_model()
    controls = _control_vertices()
    rng = np.random.default_rng([78, seed])
    shift = rng.standard_normal((3, 15, 15, 15))
    shift = 1.6 * ndimage.gaussian_filter(shift, (0, 0.6, 0.6, 0.6)) * 2.0
    extent = np.array(template.labels.data.shape) * template.labels.voxel_sizes
    fields = [
        rng.standard_normal(np.ceil(extent / step).astype(int) + 2, dtype=np.float32)
        for step in (np.full(3, 40.0), _SEPTA_MM[:, 0])
    ]
    return Warp(
        template,
        BiharmonicMap(vertices[controls], template.vertices[controls], smoothing=2.0),
        spatial.cKDTree(vertices[model.part < LEFT_EYE][::3]),
        shift,
        fields[0] * np.float32(1.5),
        fields[1] * np.float32(1.5),
    )


@functools.cache
def _control_vertices() -> npt.NDArray[np.int64]:
    """Vertices that hold the warp: one per 9 mm in the face, per 15 mm elsewhere."""
    model = load_model()
    steady = model.steady()
    chosen = []
    for inside, spacing in ((model.part == FACE, 9.0), (model.part != FACE, 15.0)):
        part = np.flatnonzero(steady & inside)
        chosen.append(part[spread(model.mean[part].astype(np.float64), spacing)])
    return np.sort(np.concatenate(chosen))


@functools.lru_cache(maxsize=2)
def _template_tissues(head: str) -> tuple[npt.NDArray[np.uint8], Volume]:
    """Tissues of a label head, soft tissue and all around it as 5, and the share of that."""
    template, model = load_template(head), load_model()
    affine = template.labels.affine
    tissues = template.labels.data.copy()
    tissues[np.isin(tissues, (0, MUSCLE, SKIN, 6))] = MUSCLE
    _close_skull(tissues, affine)
    bone = (tissues == BONE).astype(np.float32)
    tissues[(bone > 0) & (depth_below(bone, affine, sigma_mm=1.5) > 2.2)] = MARROW
    for part in (LEFT_EYE, RIGHT_EYE):
        _fill_orbit(tissues, affine, template.vertices[model.part == part])
    soft = ndimage.gaussian_filter((tissues == MUSCLE).astype(np.float32), 0.55, truncate=3)
    return tissues, soft


def _close_skull(tissues: npt.NDArray[np.uint8], affine: Affine) -> None:
    """Turn soft tissue that touches the brain above the skull base into bone, in place.

    Label maps have holes in thin bone: beside the temples and over the orbits muscle meets brain,
    which it does in nobody.
    """
    brain = np.isin(tissues, (WHITE, GREY, CSF, BRAIN))
    area = brain.sum(axis=(0, 1))
    above = (area > 0.35 * area.max())[None, None, :]
    apart = ndimage.distance_transform_edt(~brain, sampling=voxel_sizes(affine))
    tissues[(tissues == MUSCLE) & (apart <= SKULL_MM) & above] = BONE


def _fill_orbit(tissues: npt.NDArray[np.uint8], affine: Affine, ball: Floats) -> None:
    """Turn soft tissue behind an eyeball into fat with a nerve and four muscles, in place."""
    centre = (ball.max(axis=0) + ball.min(axis=0)) / 2 - [0, 2, 0]
    to_voxel = np.asarray(np.linalg.inv(affine), dtype=np.float64)
    ends = apply_affine(to_voxel, centre + np.array([[-25.0, -45, -25], [25, 15, 25]]))
    low = np.maximum(ends.min(axis=0).astype(int), 0)
    high = np.minimum(ends.max(axis=0).astype(int) + 1, tissues.shape)
    ranges = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    x, y, z = np.moveaxis(
        apply_affine(affine, np.stack(np.meshgrid(*ranges, indexing="ij"), -1)) - centre, -1, 0
    )
    # The cone of muscles runs from the globe backwards and towards the middle of the head.
    aside = x + y * 0.45 * np.sign(centre[0])
    radius, angle = np.hypot(aside, z), np.arctan2(z, aside)
    near = (x**2 + z**2 + (y / 1.7 + 3) ** 2 < 17.5**2) & (y < 6)
    back = np.clip(-y / 38, 0, 1)
    wall = np.abs(radius - 12.5 * (1 - back)) < 1.8 * (1 - 0.4 * back)
    muscles = wall & (np.cos(2 * angle) ** 2 > 0.45) & (y < -2)
    nerve = (radius < 2.0) & (y < -8)
    part = tissues[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    soft = part == MUSCLE
    part[soft & near] = FAT
    part[soft & near & (muscles | nerve)] = COAT


@functools.lru_cache(maxsize=6)
def _hard_signal(head: str, contrast: str) -> Volume:
    """Signal times share of all tissues but soft tissue, on the template's grid."""
    tissues, _ = _template_tissues(head)
    table = signals(contrast).copy()
    table[MUSCLE] = 0
    return ndimage.gaussian_filter(table[tissues], 0.55, truncate=3)


def paint_inside(
    warp: Warp,
    image_to_person: Affine,
    share: Volume,
    affine: Affine,
    contrast: str,
    brow_z_mm: float,
) -> tuple[Volume, npt.NDArray[np.uint8]]:
    """Paint what lies below the skin.

    Parameters
    ----------
    warp : Warp
    image_to_person : (4, 4) ndarray
        Image mm → person's mm.
    share : (I, J, K) float32 ndarray
        Share of each voxel inside the skin.
    affine : (4, 4) ndarray
        Voxel → image mm.
    contrast : str
    brow_z_mm : float
        Height of the brow in the person's mm; fat is thinner above.

    Returns
    -------
    signal : (I, J, K) float32 ndarray
        Noise-free, air included.
    labels : (I, J, K) uint8 ndarray
        Label heads' scheme; no eyes yet.
    """
    depth = depth_below(share, affine)
    coarse, steps = _coarse_map(warp, image_to_person @ affine, affine, share)
    air = signals(contrast)[0]
    signal = np.full(share.shape, air, dtype=np.float32)
    labels = np.zeros(share.shape, dtype=np.uint8)
    softest = float(voxel_sizes(affine).min())
    for start in range(0, share.shape[0], _SLAB):
        slab = slice(start, min(start + _SLAB, share.shape[0]))
        inside = share[slab] > 0
        if not inside.any():
            continue
        where = _template_voxels(coarse, steps, slab, share.shape, inside)
        below = depth[slab][inside]
        value, label = _paint_points(warp, where, below, contrast, softest, brow_z_mm)
        part = share[slab][inside]
        signal[slab][inside] = part * value + (1 - part) * air
        label[part < 0.5] = 0
        labels[slab][inside] = label
    return signal, labels


def _coarse_map(
    warp: Warp, voxel_to_person: Affine, affine: Affine, share: Volume
) -> tuple[Volume, Floats]:
    """Template voxel (and, last, the person's height) on a coarse grid along the image's axes.

    Only nodes that a voxel with a share of the head needs are computed, the others are 0.

    Returns
    -------
    (4, a, b, c) float32 ndarray, (3,) steps in voxels
    """
    sizes = voxel_sizes(affine)
    steps = np.maximum(1.0, np.maximum(COARSE_MM, 1.8 * sizes.min()) / sizes)
    needed = share > 0
    for axis, step in enumerate(steps):
        needed = _needed_nodes(needed, axis, float(step))
    nodes = np.argwhere(needed)
    points = apply_affine(voxel_to_person, nodes * steps)
    to_voxel = np.asarray(np.linalg.inv(warp.template.labels.affine), dtype=np.float64)
    coarse = np.zeros((4, *needed.shape), dtype=np.float32)
    # Rounded, so that other linear algebra libraries give the same scan.
    coarse[(slice(None), *nodes.T)] = np.column_stack(
        [apply_affine(to_voxel, warp(points)), points[:, 2]]
    ).T.round(3)
    return coarse, steps


def _needed_nodes(inside: npt.NDArray[np.bool_], axis: int, step: float) -> npt.NDArray[np.bool_]:
    """Nodes along one axis between which a voxel inside is interpolated."""
    n = inside.shape[axis]
    below = (np.arange(n) / step).astype(np.intp)
    starts = np.flatnonzero(np.diff(below, prepend=-1))
    cells = np.logical_or.reduceat(inside, starts, axis=axis)
    nodes = np.zeros_like(np.take(cells, [0], axis=axis)).repeat(below[-1] + 2, axis=axis)
    nodes_first, cells_first = np.moveaxis(nodes, axis, 0), np.moveaxis(cells, axis, 0)
    nodes_first[below[starts]] |= cells_first
    nodes_first[below[starts] + 1] |= cells_first
    return nodes


def _template_voxels(
    coarse: Volume,
    steps: Floats,
    slab: slice,
    shape: tuple[int, ...],
    inside: npt.NDArray[np.bool_],
) -> Volume:
    """Interpolate the coarse map at the chosen voxels of a slab, (4, m)."""
    ranges = (np.arange(slab.start, slab.stop), np.arange(shape[1]), np.arange(shape[2]))
    fine = []
    for part in coarse:
        for axis, (positions, step) in enumerate(zip(ranges, steps, strict=True)):
            part = upsample(part, axis, (positions / step).astype(np.float32))
        fine.append(part[inside])
    return np.stack(fine)


def _paint_points(
    warp: Warp,
    where: Volume,
    depth: Volume,
    contrast: str,
    voxel_mm: float,
    brow_z_mm: float,
) -> tuple[Volume, npt.NDArray[np.uint8]]:
    """Signal and label of points given by template voxel and depth below the skin."""
    head = warp.template.name
    tissues, soft_share = _template_tissues(head)
    height = where[3]
    at = where[:3]
    np.maximum(at[2], _CUT_SLICES, out=at[2])
    soft = ndimage.map_coordinates(soft_share, at, order=1, mode="nearest", prefilter=False)
    value = ndimage.map_coordinates(
        _hard_signal(head, contrast), at, order=1, mode="nearest", prefilter=False
    )
    # Right below the skin there is nothing but soft tissue.
    forced = np.clip((2.3 - depth) / 1.2, 0, 1)
    value *= 1 - forced
    soft += forced * (1 - soft)
    value += soft * _soft_signal(warp, at, depth, height, contrast, voxel_mm, brow_z_mm)
    nearest = np.rint(at).astype(np.intp)
    for axis, n in enumerate(tissues.shape):
        np.clip(nearest[axis], 0, n - 1, out=nearest[axis])
    label = tissues[nearest[0], nearest[1], nearest[2]]
    label[label == MARROW] = BONE
    label[(label == FAT) | (label == COAT) | (forced > 0.5)] = MUSCLE
    label[(label == MUSCLE) & (depth < SKIN_MM)] = SKIN
    return value, label


def _soft_signal(
    warp: Warp,
    at: Volume,
    depth: Volume,
    height: Volume,
    contrast: str,
    voxel_mm: float,
    brow_z_mm: float,
) -> Volume:
    """Skin, then fat of varying thickness, then muscle with septa of fat."""
    table = signals(contrast)
    sizes = warp.template.labels.voxel_sizes.astype(np.float32)[:, None]
    thick = ndimage.map_coordinates(
        warp.thickness, at * (sizes / 40), order=1, mode="nearest", prefilter=False
    )
    septa = ndimage.map_coordinates(
        warp.septa, at * (sizes / _SEPTA_MM), order=1, mode="nearest", prefilter=False
    )
    fat_mm = 3.2 * np.exp(np.float32(0.35) * thick)
    fat_mm *= np.where(height > brow_z_mm, np.float32(0.6), np.float32(1))
    np.minimum(fat_mm, np.float32(3.9), out=fat_mm)
    edge = np.float32(1 / max(voxel_mm, 0.8))
    in_fat = np.clip((depth - SKIN_MM) * edge + 0.5, 0, 1)
    in_muscle = np.clip((depth - SKIN_MM - fat_mm) * edge + 0.5, 0, 1)
    in_muscle *= 1 - np.clip((septa - 0.6) * 1.2, 0, 1) * 0.75
    fat = table[FAT] + np.float32(0.03 * (table[FAT] - table[CAVITY])) * septa
    return (
        table[SKIN] * (1 - in_fat)
        + fat * (in_fat - np.minimum(in_fat, in_muscle))
        + table[MUSCLE] * np.minimum(in_fat, in_muscle)
    )
