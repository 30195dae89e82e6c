"""Gate: a surface that is to be released shows the released image's skin, and holds no text.

Asked only where a surface goes with the image. Its vertices in the changed region are held
against the tissue of the image *after*: a surface drawn from the original would leave it there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.mask import bounding_box
from anonymi_bids.gates.context import GateContext, finding
from anonymi_bids.gates.new_face import signed_depth
from anonymi_bids.gates.surface import voxel_edges
from anonymi_bids.io.canary import holds
from anonymi_bids.io.surfaces import read_surface, surface_text
from anonymi_bids.model import SURFACE_GATE, Finding

NEAR_MM = 2.5
NEAR_VOXELS = 1.2
MAX_ASTRAY = 0.15
"""Nostrils, folds of the ear and the border of the region are drawn a little differently."""
FEWEST = 50


def check(ctx: GateContext) -> Finding:
    """Measure the share of vertices in the changed region that lie off the released skin."""
    if ctx.surface_file is None:
        return finding(SURFACE_GATE, "could_not_tell", "There is no surface to look at.")
    if holds(surface_text(ctx.surface_file), ctx.needles):
        return finding(
            SURFACE_GATE,
            "failed",
            "A text of the input was found in the surface; nothing of it may leave.",
        )
    astray, count = _astray(ctx, ctx.surface_file)
    if count < FEWEST:
        return finding(
            SURFACE_GATE,
            "could_not_tell",
            "The surface does not reach the changed region, so it cannot be held against it.",
            figure=count,
            limit=FEWEST,
        )
    if astray > MAX_ASTRAY:
        return finding(
            SURFACE_GATE,
            "failed",
            f"{astray:.0%} of the surface in the changed region lies off the skin that the "
            "released image shows; it may show the old face.",
            figure=astray,
            limit=MAX_ASTRAY,
        )
    return finding(
        SURFACE_GATE,
        "passed",
        "The surface shows the skin of the released image.",
        figure=astray,
        limit=MAX_ASTRAY,
    )


def _astray(ctx: GateContext, surface_file: Path) -> tuple[float, int]:
    """Share of the vertices in the changed region off its skin, and their number."""
    affine = ctx.after.affine
    to_voxel = np.asarray(np.linalg.inv(affine), np.float64)
    places = apply_affine(to_voxel, read_surface(surface_file).vertices)
    box = bounding_box(ctx.mask, int(np.ceil(20 / voxel_edges(affine).min())))
    low = np.array([side.start for side in box])
    size = np.array([side.stop - side.start for side in box])
    local = (places - low).T
    held = ((local >= 0) & (local <= (size - 1)[:, None])).all(axis=0)
    local = local[:, held]
    near = ndimage.map_coordinates(ctx.mask[box].astype(np.uint8), local, order=0) > 0
    if not near.any():
        return 1.0, 0
    sizes = voxel_edges(affine)
    depth = signed_depth(ctx.after_tissue[box], sizes)
    off = np.abs(ndimage.map_coordinates(depth, local[:, near], order=1))
    limit = max(NEAR_MM, NEAR_VOXELS * float(sizes.max()))
    return float((off > limit).mean()), int(near.sum())
