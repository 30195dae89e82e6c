"""Gate: the own skin of the face is gone, and the new surface lies well below it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.mask import bounding_box, distance_mm
from anonymi_bids.gates import new_face, place
from anonymi_bids.gates.context import Fault, GateContext, finding
from anonymi_bids.gates.surface import (
    SHELL_MM,
    head_coordinate,
    inside_view,
    shell,
    solid,
    voxel_edges,
)
from anonymi_bids.model import Finding
from anonymi_bids.settings import GateSettings

GATE = "face_gone"

Mask = npt.NDArray[np.bool_]

THIRDS = ("brow and eyes", "nose", "mouth and chin")
MARGIN_MM = 2.0
BORDER_MM = 6.0
"""Nearer to the border of the field of view, where the nose is cut open, no skin is judged."""

NEAR_SKIN_MM = 5.0
EDGE_MM = 8.0
"""A strip this wide below the brow may be left in one piece: the brow is known to some mm."""

MIN_SKIN_ML = 0.5
"""Less skin of the window than this in the field of view counts as no face."""

MIN_THIRD_ML = 8.0
FRONT_MM = 50.0
MIN_FRONT_ML = 1.0
"""A third of which the field of view shows less skin (25 ml is usual), or nothing so far in front
of the preauricular points, is judged with the whole only: a temple is no nose."""


@dataclass(frozen=True)
class SkinLeft:
    """What is left of a face.

    Attributes
    ----------
    share : float
        Share of the own skin in the window that is unchanged or still tissue (tissue counts only
        where no new face was to be put there).
    by_third : tuple of float
        The same for the upper, middle and lower third of the window; NaN where there is no skin.
    depth_mm : tuple of float
        Median distance of the old skin to the new surface, by third; NaN likewise.
    whole_depth_mm : float
        The same over all of the window.
    skin_ml : float
        Own skin in the window and field of view.
    patch_mm2 : float
        Area of the largest coherent patch that is left, more than `EDGE_MM` below the brow.
    """

    share: float
    by_third: tuple[float, ...]
    depth_mm: tuple[float, ...]
    skin_ml: float
    patch_mm2: float = 0.0
    whole_depth_mm: float = float("nan")


def check(ctx: GateContext) -> Finding:
    """Hold what is left of the face, and the new surface, against their limits."""
    settings = ctx.settings
    measured = [measure(ctx, level) for level in ctx.levels]
    worst = max(measured, key=lambda left: left.share)
    worst = replace(worst, patch_mm2=max(left.patch_mm2 for left in measured))
    limit = settings.max_skin_left
    if worst.skin_ml < MIN_SKIN_ML:
        return finding(
            GATE, "passed", "There is no face in the field of view.", figure=0.0, limit=limit
        )
    fault = _too_much_left(worst, settings)
    if fault is None and ctx.rebuilt:
        fault = new_face.check(ctx, _window(ctx, ctx.levels[0], ctx.tissue).skin)
    elif fault is None:
        fault = _too_shallow(worst, settings)
    if fault is not None:
        return finding(GATE, "failed", fault.sentence, figure=fault.figure, limit=fault.limit)
    return finding(
        GATE,
        "passed",
        f"{worst.share:.1%} of the face's own skin is left ({_by_third(worst)}).",
        figure=worst.share,
        limit=limit,
    )


def _too_much_left(left: SkinLeft, settings: GateSettings) -> Fault | None:
    """Own skin left in all, in one patch, or in one third."""
    limit = settings.max_skin_left
    if left.share > limit:
        return Fault(
            f"{left.share:.1%} of the face's own skin is left ({limit:.1%} are allowed): "
            f"{_by_third(left)}; look at the image.",
            left.share,
            limit,
        )
    limit = settings.max_skin_patch_mm2
    if left.patch_mm2 > limit:
        return Fault(
            f"A patch of {left.patch_mm2:.0f} mm² of the face's own skin is left in one piece "
            f"({limit:.0f} mm² are allowed), as large as an eye or a nose; look at the image.",
            left.patch_mm2,
            limit,
        )
    limit = settings.max_skin_left_third
    for name, share in zip(THIRDS, left.by_third, strict=True):
        if share > limit:
            return Fault(
                f"{share:.1%} of the own skin of {name} is left ({limit:.1%} are allowed); "
                "look at the image.",
                share,
                limit,
            )
    return None


def _too_shallow(left: SkinLeft, settings: GateSettings) -> Fault | None:
    """Find a cut so near to the old skin that it shows the same face."""
    limit = settings.min_face_depth_mm
    depths = (*left.depth_mm, left.whole_depth_mm)
    for name, depth in zip((*THIRDS, "the whole face"), depths, strict=True):
        if depth < limit:
            return Fault(
                f"The new surface at {name} lies only {depth:.1f} mm from the old skin "
                f"({limit:.1f} mm are needed), so it shows the same face.",
                depth,
                limit,
            )
    return None


def _by_third(left: SkinLeft) -> str:
    return ", ".join(
        f"{name} {share:.1%}" if np.isfinite(share) else f"{name} not in view"
        for name, share in zip(THIRDS, left.by_third, strict=True)
    )


@dataclass(frozen=True)
class _Window:
    """Own skin in the face window, and where it lies."""

    skin: Mask
    top: float
    bottom: float
    up: npt.NDArray[np.float32]
    forward: npt.NDArray[np.float32]


def _window(ctx: GateContext, level: float, body: Mask) -> _Window:
    """Find the own skin between brow and chin, in front of the preauricular points."""
    affine = ctx.before.affine
    shape = ctx.before.shape[:3]
    to_atlas = np.linalg.inv(ctx.atlas_to_image) @ affine
    atlas_y = head_coordinate(shape, to_atlas, 1)
    atlas_z = head_coordinate(shape, to_atlas, 2)
    z = place.up(atlas_y, atlas_z)
    top = place.brow_height(ctx.tissue, to_atlas, ctx.atlas.landmarks)[0] - MARGIN_MM
    chin = ctx.atlas.landmarks["chin"]
    bottom = float(place.up(chin[1], chin[2]))
    forward = place.forward(atlas_y, atlas_z)
    window = (z < top) & (z > bottom) & (forward > MARGIN_MM)
    skin = shell(body, affine) & window & inside_view(ctx.tissue, affine, BORDER_MM)
    if level != ctx.levels[0]:
        # Where the signal fades inside the head the higher level finds edges that are no skin.
        skin &= shell(ctx.tissue, affine, NEAR_SKIN_MM) | ~ctx.tissue
    return _Window(skin, top, bottom, z, forward)


def measure(ctx: GateContext, level: float) -> SkinLeft:
    """Measure what is left of the face at one grey level that separates air from skin."""
    affine = ctx.before.affine
    low = level == ctx.levels[0]
    own = _window(ctx, level, ctx.tissue if low else solid(ctx.before_mean, affine, level))
    skin = own.skin
    unit = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    n_skin = int(np.count_nonzero(skin))
    if n_skin * unit < MIN_SKIN_ML:
        nothing = (float("nan"),) * 3
        return SkinLeft(0.0, nothing, nothing, n_skin * unit)
    new_body = ctx.after_tissue if low else solid(ctx.after_mean, affine, level)
    # Air that stays air is no skin, though smoothing lays the surface a little outside.
    left = skin & ~ctx.changes.most_volumes & (ctx.before_mean > level)
    if not ctx.rebuilt:
        left |= skin & new_body
    distance = _distance(skin, new_body, affine)
    edges = np.linspace(own.top, own.bottom, 4)
    shares, depths = [], []
    for upper, lower in zip(edges[:-1], edges[1:], strict=True):
        third = skin & (own.up <= upper) & (own.up > lower)
        count = int(np.count_nonzero(third))
        front = int(np.count_nonzero(third & (own.forward > FRONT_MM)))
        enough = count * unit >= MIN_THIRD_ML and front * unit >= MIN_FRONT_ML
        shares.append(float(np.count_nonzero(left & third) / count) if enough else float("nan"))
        depths.append(float(np.median(distance[third])) if enough else float("nan"))
    return SkinLeft(
        float(np.count_nonzero(left) / n_skin),
        tuple(shares),
        tuple(depths),
        n_skin * unit,
        _largest_patch(left & (own.up < own.top - EDGE_MM), affine),
        float(np.median(distance[skin])),
    )


def _largest_patch(left: Mask, affine: npt.NDArray[np.float64]) -> float:
    """Area of the largest connected piece of a shell of skin, mm²."""
    labels, count = ndimage.label(left, np.ones((3, 3, 3), bool))
    if count == 0:
        return 0.0
    pieces = np.bincount(labels.ravel())[1:]
    volume = abs(float(np.linalg.det(affine[:3, :3])))
    thickness = max(SHELL_MM, float(voxel_edges(affine).min()))
    return float(pieces.max()) * volume / thickness


def _distance(
    skin: Mask, new_body: Mask, affine: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Distance of old skin to the new body, mm, within the box of the skin; 0 elsewhere."""
    distance = np.zeros(skin.shape, dtype=np.float32)
    box = bounding_box(skin, 1)
    part = new_body[box]
    if part.any():
        distance[box] = distance_mm(~part, voxel_edges(affine))
    else:
        distance[box] = np.inf
    return distance
