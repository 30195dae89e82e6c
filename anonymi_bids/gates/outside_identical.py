"""Gate: outside the announced region every voxel of every volume is bit-identical."""

from __future__ import annotations

from anonymi_bids.gates.context import GateContext, finding
from anonymi_bids.model import Finding

GATE = "outside_identical"


def check(ctx: GateContext) -> Finding:
    """Count voxels that differ outside the mask."""
    outside = sum(ctx.changes.outside)
    if outside:
        return finding(
            GATE,
            "failed",
            f"{outside} voxels outside the removed region differ from the original; not one may, "
            "so the image is not released.",
            figure=outside,
            limit=0,
        )
    return finding(
        GATE,
        "passed",
        "Every voxel outside the removed region is bit-identical to the original.",
        figure=0,
        limit=0,
    )
