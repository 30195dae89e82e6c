"""Gate: the region was replaced in every volume of a series."""

from __future__ import annotations

from anonymi_bids.gates.context import GateContext, finding
from anonymi_bids.model import Finding

GATE = "all_volumes"

MAX_LEFT = 0.10
"""Noise may by chance equal a dark voxel of low bit depth; a skipped volume leaves all of it."""


def check(ctx: GateContext) -> Finding:
    """Look in each volume for tissue inside the mask that is still as stored."""
    if ctx.before.n_volumes != ctx.after.n_volumes:
        return finding(
            GATE,
            "failed",
            f"The image has {ctx.after.n_volumes} volumes, but the original has "
            f"{ctx.before.n_volumes}; all must be kept.",
            limit=MAX_LEFT,
        )
    left = ctx.changes.tissue_left
    if not left:
        return finding(
            GATE, "passed", "There is no tissue in the removed region.", figure=0, limit=MAX_LEFT
        )
    worst = max(range(len(left)), key=left.__getitem__)
    if left[worst] > MAX_LEFT:
        bad = sum(share > MAX_LEFT for share in left)
        return finding(
            GATE,
            "failed",
            f"In {bad} of {len(left)} volumes (the worst is number {worst}) the region was not "
            f"replaced: {left[worst]:.0%} of its tissue is as it was.",
            figure=left[worst],
            limit=MAX_LEFT,
        )
    return finding(
        GATE,
        "passed",
        f"The region was replaced in each of {len(left)} volumes.",
        figure=left[worst],
        limit=MAX_LEFT,
    )
