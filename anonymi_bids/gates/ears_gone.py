"""Gate: both ears are gone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.mask import bounding_box, distance_mm
from anonymi_bids.gates import place
from anonymi_bids.gates.context import Fault, GateContext, finding
from anonymi_bids.gates.new_face import new_skin_mm
from anonymi_bids.gates.surface import (
    bring,
    head_coordinate,
    inside_view,
    shell,
    voxel_edges,
)
from anonymi_bids.model import Finding, Image

GATE = "ears_gone"

Mask = npt.NDArray[np.bool_]

SEARCH_MM = 8.0
PINNA_MM = 6.0
MIN_SKIN_ML = 0.2
MIN_PINNA_ML = 1.0
TOP_MM = 34.0
"""Height of an ear's top over the plane of `place.up`."""

BORDER_MM = 8.0
"""Nearer to the border of the field of view, where the head is cut open, no skin is judged: ear
canal and mastoid lie open there and look like skin."""

MAX_VOXEL_MM = 3.0
"""In thicker slices a ball of `PINNA_MM` tells no ear from the rounding of the head."""


def check(ctx: GateContext) -> Finding:
    """Hold the share of each ear's own skin that is left against its limit."""
    limit = ctx.settings.max_ear_left
    if not ctx.ears:
        return finding(GATE, "passed", "The policy leaves the ears.", figure=None, limit=limit)
    shares = {
        "left": ear_left(ctx, ctx.atlas.ear_left),
        "right": ear_left(ctx, ctx.atlas.ear_right),
    }
    seen = {side: share for side, share in shares.items() if share is not None}
    if not seen:
        return finding(
            GATE, "passed", "There is no ear in the field of view.", figure=0.0, limit=limit
        )
    if ctx.rebuilt:
        same = same_shape(ctx)
        if same is not None:
            return finding(GATE, "failed", same.sentence, figure=same.figure, limit=same.limit)
    worst = max(seen, key=lambda side: seen[side])
    if seen[worst] > limit:
        return finding(
            GATE,
            "failed",
            f"{seen[worst]:.1%} of the {worst} ear's skin is left ({limit:.1%} are allowed); "
            "look at the image.",
            figure=seen[worst],
            limit=limit,
        )
    return finding(
        GATE,
        "passed",
        f"The ears are gone (at most {seen[worst]:.1%} of an ear's skin is left).",
        figure=seen[worst],
        limit=limit,
    )


def same_shape(ctx: GateContext) -> Fault | None:
    """Find a new ear that lies where the old one lay: other tissue in the own shape."""
    limit = ctx.settings.min_new_skin_mm
    for side, ear in (("left", ctx.atlas.ear_left), ("right", ctx.atlas.ear_right)):
        found = _ear_skin(ctx, ear)
        if found is None:
            continue
        box, part = found
        skin = np.zeros(ctx.before.shape[:3], bool)
        skin[box] = part
        apart = new_skin_mm(ctx, skin)
        if apart < limit:
            return Fault(
                f"The new {side} ear's skin lies only {apart:.1f} mm from the old one in the "
                f"middle ({limit:.1f} mm are needed), so it shows the same ear; take another "
                "seed or style.",
                apart,
                limit,
            )
    return None


def ear_left(ctx: GateContext, ear: Image) -> float | None:
    """Share of an ear's own skin that is unchanged or still tissue; None if it is not in view.

    Where a new ear was put in its place, tissue is no fault (`same_shape` looks at it).
    """
    found = _ear_skin(ctx, ear)
    if found is None:
        return None
    box, skin = found
    left = skin & ~ctx.changes.most_volumes[box] & (ctx.before_mean[box] > ctx.levels[0])
    if not ctx.rebuilt:
        left |= skin & ctx.after_tissue[box]
    return float(np.count_nonzero(left) / np.count_nonzero(skin))


def _ear_skin(ctx: GateContext, ear: Image) -> tuple[tuple[slice, ...], Mask] | None:
    """Skin of one ear in a box of the image; None if it is not in view.

    The ear is what sticks out of the own head near the atlas' ear: thinner than twice `PINNA_MM`.
    Where nothing sticks out, the skin inside the atlas' ear stands for it.
    """
    affine = ctx.before.affine
    shape = ctx.before.shape[:3]
    to_atlas = np.linalg.inv(ctx.atlas_to_image) @ affine
    signed = 50 - distance_mm(~ear.data, ear.voxel_sizes)
    near = bring(np.maximum(signed, 0), ear.affine, to_atlas, shape)
    search = near > 50 - SEARCH_MM
    if not search.any():
        return None
    box = bounding_box(search, int(np.ceil(20 / voxel_edges(affine).min())))
    body = ctx.tissue[box]
    fine = float(voxel_edges(affine).max()) <= MAX_VOXEL_MM
    pinna = _sticking_out(body, affine) & search[box] if fine else np.zeros(body.shape, bool)
    unit = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    seen = np.count_nonzero(pinna) * unit >= MIN_PINNA_ML
    height = place.up(*(head_coordinate(shape, to_atlas, axis)[box] for axis in (1, 2)))
    skin = shell(body, affine) & (pinna if seen else (near[box] > 49.9) & (height < TOP_MM))
    skin &= inside_view(ctx.tissue, affine, BORDER_MM)[box]
    if np.count_nonzero(skin) * unit < MIN_SKIN_ML:
        return None
    return box, skin


def _sticking_out(body: Mask, affine: npt.NDArray[np.float64]) -> Mask:
    """Find what an opening by a ball of `PINNA_MM` takes away."""
    sizes = voxel_edges(affine)
    depth = distance_mm(np.pad(body, 1), sizes)
    inner = depth > PINNA_MM
    opened = distance_mm(~inner, sizes) <= PINNA_MM + 0.7
    return body & ~opened[1:-1, 1:-1, 1:-1]
