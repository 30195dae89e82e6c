"""Gate: brain and CSF are untouched, by two independent brain masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.mask import bounding_box, distance_mm
from anonymi_bids.gates.context import GateContext, finding
from anonymi_bids.gates.surface import bring, voxel_edges
from anonymi_bids.model import Finding

GATE = "brain_untouched"

Mask = npt.NDArray[np.bool_]

SURFACE_MM = 3.0
"""The brain by grey values is not exact at its surface; what lies deeper counts without
tolerance. In thicker slices one voxel."""


def check(ctx: GateContext) -> Finding:
    """Count changed voxels in the atlas' brain and in the brain found by grey values."""
    limit = ctx.settings.max_brain_changed_ml
    own = ctx.own_brain
    if not own.plausible:
        return finding(
            GATE,
            "could_not_tell",
            f"No second brain mask could be made from the grey values (it covers {own.cover:.0%} "
            "of the atlas' brain), so nobody can tell whether brain was cut; look at the image.",
            limit=limit,
        )
    to_atlas = np.linalg.inv(ctx.atlas_to_image) @ ctx.before.affine
    atlas = ctx.atlas.brain
    by_atlas = bring(atlas.data.astype(np.float32), atlas.affine, to_atlas, own.mask.shape) > 0.5
    changed = ctx.changes.any_volume | ctx.mask
    unit = abs(float(np.linalg.det(ctx.before.affine[:3, :3]))) / 1000
    in_atlas = float(np.count_nonzero(changed & by_atlas)) * unit
    in_own = float(np.count_nonzero(changed & _interior(own.mask, changed, ctx.before.affine)))
    in_own *= unit
    own_limit = ctx.settings.max_own_brain_changed_ml
    by_own = in_own > own_limit
    figure, held = (in_own, own_limit) if by_own else (in_atlas, limit)
    measured = f"{in_atlas:.2f} ml by the atlas, {in_own:.2f} ml by grey values"
    if by_own or in_atlas > limit:
        return finding(
            GATE,
            "failed",
            f"The removed region reaches into the brain: {measured} ({limit:.2f} and "
            f"{own_limit:.2f} ml are allowed); look at the image.",
            figure=figure,
            limit=held,
        )
    return finding(
        GATE,
        "passed",
        f"Brain and CSF are untouched: {measured} differ.",
        figure=figure,
        limit=held,
    )


def _interior(brain: Mask, changed: Mask, affine: npt.NDArray[np.float64]) -> Mask:
    """Brain deeper than its uncertain surface, near what changed."""
    result = np.zeros(brain.shape, bool)
    near = brain & changed
    if not near.any():
        return result
    sizes = voxel_edges(affine)
    least = max(SURFACE_MM, 1.05 * float(sizes.max()))
    box = bounding_box(near, int(np.ceil(2 * least / sizes.min())))
    result[box] = distance_mm(brain[box], sizes) > least
    return result
