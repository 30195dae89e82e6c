"""Gate: shape, stored type, scaling and place in space are those of the original."""

from __future__ import annotations

import numpy as np

from anonymi_bids.gates.context import GateContext, finding
from anonymi_bids.model import Finding

GATE = "grid_unchanged"

SAME_FIELDS = (
    "dim",
    "pixdim",
    "bitpix",
    "datatype",
    "scl_slope",
    "scl_inter",
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
    "xyzt_units",
)


def check(ctx: GateContext) -> Finding:
    """Compare the headers field by field, and the mask's grid with both."""
    before, after = ctx.before, ctx.after
    wrong = [
        name
        for name in SAME_FIELDS
        if not np.array_equal(
            np.asarray(before.header[name]), np.asarray(after.header[name]), equal_nan=True
        )
    ]
    if before.shape != after.shape:
        wrong.append("shape")
    if before.dtype.newbyteorder("=") != after.dtype.newbyteorder("="):
        wrong.append("type")
    if not np.array_equal(before.affine, after.affine):
        wrong.append("affine")
    if before.slope_inter != after.slope_inter:
        wrong.append("scaling")
    if ctx.mask.shape != before.shape[:3]:
        wrong.append("shape of the mask")
    if wrong:
        return finding(
            GATE,
            "failed",
            f"The grid differs from the original's ({', '.join(wrong)}); every voxel must keep "
            "its place, so the image is not released.",
            figure=len(wrong),
            limit=0,
        )
    return finding(
        GATE, "passed", "Shape, type, scaling and affine are the original's.", figure=0, limit=0
    )
