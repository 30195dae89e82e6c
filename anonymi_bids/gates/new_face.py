"""Whether a new face is another one: its distance from the old skin, and its relief.

Two figures. How far old and new skin are apart says little by itself: a face shifted as a whole
is still the same. So what makes a face is compared too: the relief seen from the front, from which
the atlas' relief and its tilt are taken, is correlated between old and new.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.mask import bounding_box, distance_mm
from anonymi_bids.core.render import depth_map, view_direction
from anonymi_bids.gates.context import Fault, GateContext
from anonymi_bids.gates.surface import voxel_edges

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

PIXEL_MM = 3.0
HALF_WIDTH_MM = 54.0
DEPTHS_MM = (10.0, 150.0)
BELOW_BROW_MM = 6.0
MIN_PIXELS = 120


def check(ctx: GateContext, skin: Mask) -> Fault | None:
    """Hold the new face against the old one.

    Parameters
    ----------
    ctx : GateContext
    skin : (I, J, K) bool ndarray
        Old skin in the face window.

    Returns
    -------
    Fault or None
    """
    limit = ctx.settings.min_new_skin_mm
    apart = new_skin_mm(ctx, skin)
    if apart < limit:
        return Fault(
            f"The new skin lies only {apart:.1f} mm from the old one in the middle "
            f"({limit:.1f} mm are needed), so it shows the same face; take another seed or style.",
            apart,
            limit,
        )
    limit = ctx.settings.max_face_likeness
    alike = likeness(ctx)
    if alike is None:
        return Fault(
            "Too little of the face is in the field of view to tell whether the new face is "
            "another one; use the method mask.",
            1.0,
            limit,
        )
    if alike > limit:
        return Fault(
            f"The relief of the new face is like the old one's (correlation {alike:.2f}, "
            f"{limit:.2f} is allowed); take another seed or style.",
            alike,
            limit,
        )
    return None


def new_skin_mm(ctx: GateContext, skin: Mask) -> float:
    """Median change of depth of the old skin, outward or inward, mm; 0 for the same surface."""
    if not skin.any():
        return 0.0
    sizes = voxel_edges(ctx.before.affine)
    box = bounding_box(skin, int(np.ceil(30 / sizes.min())))
    old, new = (signed_depth(body[box], sizes) for body in (ctx.tissue, ctx.after_tissue))
    return float(np.median(np.abs(new - old)[skin[box]]))


def signed_depth(body: Mask, sizes: Floats) -> Floats:
    """Depth below the surface of a body, negative outside, mm; the surface lies between voxels."""
    half = float(sizes.min()) / 2
    inside = distance_mm(body, sizes) - half
    outside = distance_mm(~body, sizes) - half
    return np.asarray(np.where(body, inside, -outside), np.float64)


def likeness(ctx: GateContext) -> float | None:
    """Correlation of both reliefs; None where too little of the face is in view."""
    old, new = (relief(ctx, body) for body in (ctx.tissue, ctx.after_tissue))
    common = np.isfinite(old) & np.isfinite(new)
    if np.count_nonzero(common) < MIN_PIXELS:
        return None
    rows, columns = np.nonzero(common)
    plane = np.stack([np.ones(len(rows)), rows, columns], axis=1)
    values = [_without_plane(image[common].astype(np.float64), plane) for image in (old, new)]
    spread = float(np.sqrt((values[0] ** 2).sum() * (values[1] ** 2).sum()))
    return float((values[0] * values[1]).sum() / spread) if spread > 0 else 1.0


def relief(ctx: GateContext, body: Mask) -> npt.NDArray[np.float32]:
    """Depth map of the face from the front in the atlas frame, less the atlas' own, mm."""
    marks = ctx.atlas.landmarks
    extent = (
        (-HALF_WIDTH_MM, HALF_WIDTH_MM),
        (float(marks["chin"][2]), float(marks["brow"][2]) - BELOW_BROW_MM),
        DEPTHS_MM,
    )
    towards = view_direction(0.0)
    own = depth_map(body, ctx.before.affine, ctx.atlas_to_image, towards, PIXEL_MM, extent)
    usual = depth_map(
        ctx.atlas.head.data, ctx.atlas.head.affine, np.eye(4), towards, PIXEL_MM, extent
    )
    return np.asarray(own - usual, np.float32)


def _without_plane(values: Floats, plane: Floats) -> Floats:
    """Take off what a shift and a tilt explain."""
    fitted, *_ = np.linalg.lstsq(plane, values, rcond=None)
    return np.asarray(values - plane @ fitted, np.float64)
