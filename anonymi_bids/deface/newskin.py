"""A new skin for face and ears: where it lies, and how deep under it each voxel is.

Old and new head are signed distances; inside the region the new one counts, outside the old one,
and over `BLEND_MM` along the skin one passes into the other, so that no step is left.

`newface`: the head of a person who does not exist, drawn from the shape model with no look at
this head; all it takes over is size and pose of the vault (7 numbers), so that it fits on, and
the own skin's place along the border.
`blur`: the own head, ears included, low-passed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage, spatial

from anonymi_bids.core.grid import Affine, apply_affine, grid_around, resample
from anonymi_bids.core.mask import distance_mm
from anonymi_bids.core.shape import LEFT_EYE, ShapeModel, similarity
from anonymi_bids.core.surface import voxelise
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.phantoms.library import load_model

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

WORK_MM = 1.5
BLEND_MM = 12.0
SHELL_IN_MM, SHELL_OUT_MM = 4.0, 8.0
"""Where the border of the region is looked for, below and above the own skin."""
FAR_MM = 40.0
VAULT_UP_MM = 62.0
"""Vertices of the mean head above this are vault."""
BORDER_MM = 6.0
REACH_MM = 12.0
MOST_OFF_MM = 15.0
FADE_MM = 25.0
STEP = 3
"""The border's offset: averaged over `REACH_MM` on every third voxel, fading over `FADE_MM`."""
LEAST_VAULT = 0.25
"""Where the field of view shows less of the vault, the head stays where the atlas lays it."""
FIT_ROUNDS = 12
FIT_POINTS = 1500
MODEL_POINTS = ("nasion", "lpa", "rpa")
CHIN = 8


@dataclass(frozen=True, slots=True, eq=False)
class NewSkin:
    """The new head on the grid of an image.

    Attributes
    ----------
    depth : (I, J, K) float32 ndarray
        Depth below the new skin, mm; negative outside.
    figures : dict
        ``moved_mean_mm`` and ``moved_p95_mm``: distance between old and new skin in the region.
    """

    depth: Volume = field(repr=False)
    figures: dict[str, float]


def new_skin(
    head: Mask,
    affine: Affine,
    removed: Mask,
    atlas: Atlas,
    atlas_to_image: Affine,
    *,
    style: str,
    smooth_mm: float,
    rng: np.random.Generator,
) -> NewSkin:
    """Lay a new skin over a region.

    Parameters
    ----------
    head : (I, J, K) bool ndarray
        Own head against air.
    affine : (4, 4) ndarray
    removed : (I, J, K) bool ndarray
        Face and ears with the air round them, down to what is kept.
    atlas, atlas_to_image
        Where the head lies.
    style : {"newface", "blur"}
    smooth_mm : float
        Cut-off of `blur`: standard deviation of the low-pass.
    rng : numpy Generator
        Draws the person of `newface`.

    Returns
    -------
    NewSkin
    """
    work, shape = grid_around(head.shape, affine, WORK_MM)
    own = signed_distance(_brought(head.astype(np.float32), affine, work, shape) > 0.5)
    gone = resample(removed, affine, work, shape)
    model = load_model()
    if style == "newface":
        vertices = model.vertices(model.sample(rng)).astype(np.float64)
        other = _placed(model, vertices, own, work, atlas, atlas_to_image)
    else:
        other = _blurred(own, smooth_mm)
    weight, apart = border_weight(own, gone)
    other = other - _offset(own, other, gone, apart)
    mixed = weight * other + (1 - weight) * own
    depth = _brought(-mixed, work, affine, head.shape)
    surface = gone & (np.abs(own) < WORK_MM)
    moved = np.abs(mixed[surface])
    figures = {
        "moved_mean_mm": round(float(moved.mean()), 2) if moved.size else 0.0,
        "moved_p95_mm": round(float(np.percentile(moved, 95)), 2) if moved.size else 0.0,
    }
    return NewSkin(depth.astype(np.float32), figures)


def _brought(data: Volume, source: Affine, target: Affine, shape: tuple[int, ...]) -> Volume:
    """Interpolate on another grid of the same field of view; its border goes on outside."""
    matrix = np.linalg.inv(source) @ target
    moved = ndimage.affine_transform(
        data, matrix[:3, :3], matrix[:3, 3], shape, order=1, mode="nearest"
    )
    return np.asarray(moved, np.float32)


def signed_distance(mask: Mask) -> Volume:
    """Signed distance to the border of a mask on the working grid, mm; negative inside."""
    if not mask.any():
        return np.full(mask.shape, FAR_MM, np.float32)
    outside = distance_mm(~mask) - 0.5
    inside = distance_mm(mask) - 0.5
    distance = np.where(mask, -inside, outside) * WORK_MM
    return np.clip(distance, -FAR_MM, FAR_MM).astype(np.float32)


def border_weight(own: Volume, gone: Mask) -> tuple[Volume, Volume]:
    """Share of the new head: 0 outside the region and at its border, 1 from `BLEND_MM` on.

    The border is that along the skin: what is kept deep below the skin is none.

    Returns
    -------
    weight : (I, J, K) float32 ndarray
    apart : (I, J, K) float32 ndarray
        Distance to the border, mm.
    """
    shell = (own > -SHELL_IN_MM) & (own < SHELL_OUT_MM)
    kept = shell & ~gone
    if not kept.any():
        return gone.astype(np.float32), np.full(gone.shape, FAR_MM, np.float32)
    apart = (distance_mm(~kept) * WORK_MM).astype(np.float32)
    part = np.where(gone, np.clip(apart / BLEND_MM, 0, 1), 0)
    return np.asarray(part * part * (3 - 2 * part), np.float32), apart


def _offset(own: Volume, other: Volume, gone: Mask, apart: Volume) -> Volume:
    """How far the new skin lies off the own one where they meet, carried into the region.

    Taken off the new head it makes both meet; it fades with the distance from the border, so that
    no more than the border of the own skin enters the new one.
    """
    near = ndimage.binary_dilation(gone, iterations=round(BORDER_MM / WORK_MM)) & ~gone
    # What lies as far off as this is no skin: a head holder or a pillow that touches it.
    border = near & (np.abs(own) < WORK_MM) & (np.abs(other) < MOST_OFF_MM)
    if not border.any():
        return np.zeros_like(own)
    sigma = REACH_MM / WORK_MM / STEP
    weight = ndimage.gaussian_filter(_thin(border.astype(np.float32)), sigma)
    sums = ndimage.gaussian_filter(_thin(np.where(border, other, 0).astype(np.float32)), sigma)
    mean = sums / np.maximum(weight, 1e-9)
    zoomed = ndimage.zoom(mean, np.array(own.shape) / np.array(mean.shape), order=1)
    return np.asarray(zoomed * np.exp(-apart / FADE_MM), np.float32)


def _thin(data: Volume) -> Volume:
    """Sum over blocks of `STEP` voxels a side."""
    pad = [(0, -n % STEP) for n in data.shape]
    full = np.pad(data, pad)
    shape = [v for n in full.shape for v in (n // STEP, STEP)]
    return np.asarray(full.reshape(shape).sum(axis=(1, 3, 5)), np.float32)


def _placed(
    model: ShapeModel,
    vertices: Floats,
    own: Volume,
    work: Affine,
    atlas: Atlas,
    atlas_to_image: Affine,
) -> Volume:
    """Signed distance to a person's head, its vault laid on the own one by size and pose."""
    source = [model.mean[model.points[name]] for name in MODEL_POINTS]
    source.append(model.mean[model.landmarks68[CHIN]])
    target = [atlas.landmarks[name] for name in (*MODEL_POINTS, "chin")]
    start = atlas_to_image @ similarity(np.stack(source).astype(float), np.stack(target))
    vault = np.flatnonzero((model.mean[:, 2] > VAULT_UP_MM) & (model.part < LEFT_EYE))
    mean_vault = apply_affine(start, model.mean[vault].astype(float))
    placed = apply_affine(similarity(vertices[vault], mean_vault), vertices)
    skin = apply_affine(work, np.argwhere((own < 0) & (own > -1.2 * WORK_MM)))
    # A vertex beyond the field of view has no skin to lie on: it would draw the head to its cut.
    ijk = apply_affine(np.asarray(np.linalg.inv(work), np.float64), placed[vault])
    seen = ((ijk > -0.5) & (ijk < np.array(own.shape) - 0.5)).all(axis=1)
    if np.mean(seen) >= LEAST_VAULT:
        placed = _on_vault(placed, vault[seen], skin)
    closed = model.close(placed)
    shape = (own.shape[0], own.shape[1], own.shape[2])
    return signed_distance(voxelise(closed, model.closed, work, shape) > 0.5)


def _on_vault(placed: Floats, vault: npt.NDArray[np.int64], skin: Floats) -> Floats:
    """Bring the vault of a placed head on the own skin: closest points, size and pose only."""
    tree = spatial.cKDTree(skin)
    chosen = vault[:: max(1, len(vault) // FIT_POINTS)]
    for _ in range(FIT_ROUNDS):
        apart, nearest = tree.query(placed[chosen])
        near = apart <= np.percentile(apart, 85)
        step = similarity(placed[chosen][near], skin[nearest[near]])
        placed = apply_affine(step, placed)
    return placed


def _blurred(own: Volume, smooth_mm: float) -> Volume:
    """Signed distance to the low-passed head."""
    soft = ndimage.gaussian_filter((own < 0).astype(np.float32), smooth_mm / WORK_MM)
    return signed_distance(soft > 0.5)
