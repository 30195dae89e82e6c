"""Gate: the head carried to this image lies where this image's own head lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.mask import bounding_box, distance_mm
from anonymi_bids.gates.context import GateContext, finding
from anonymi_bids.gates.surface import voxel_edges
from anonymi_bids.model import Finding

GATE = "carry_agrees"

MAX_POINTS = 4000
SAME_MM = 0.5


def check(ctx: GateContext) -> Finding:
    """Check the claim of the carry, and the misfit of the atlas' vault to the own vault."""
    limit = ctx.settings.min_carry_agreement
    if not ctx.carry.accepted or ctx.carry.agreement < limit:
        return finding(GATE, "failed", ctx.carry.sentence, figure=ctx.carry.agreement, limit=limit)
    claimed = ctx.carry.reference_to_image @ ctx.fit.atlas_to_image
    corners = np.array(
        [[x, y, z, 1.0] for x in (-90, 90) for y in (-90, 110) for z in (-120, 140)]
    )
    apart = float(np.abs(corners @ (claimed - ctx.atlas_to_image).T).max())
    if apart > SAME_MM:
        return finding(
            GATE,
            "failed",
            f"The region was used {apart:.1f} mm from where the session's reference and the "
            "carried motion put it; process the session again.",
            figure=ctx.carry.agreement,
            limit=limit,
        )
    offset = vault_offset(ctx)
    most = ctx.settings.max_vault_offset_mm
    if offset is None:
        return finding(
            GATE,
            "could_not_tell",
            "Too little of the vault is in the field of view to check where the head lies.",
            figure=ctx.carry.agreement,
            limit=limit,
        )
    if offset > most:
        return finding(
            GATE,
            "failed",
            f"The carried head lies {offset:.1f} mm beside the head of this image ({most:.1f} mm "
            "are allowed); treat the image alone or look at it.",
            figure=offset,
            limit=most,
        )
    return finding(
        GATE,
        "passed",
        f"{ctx.carry.sentence} The carried vault lies {offset:.1f} mm beside the own one.",
        figure=ctx.carry.agreement,
        limit=limit,
    )


def vault_offset(ctx: GateContext) -> float | None:
    """Shift (mm) that would lay the atlas' vault best on the own vault; None if it is not seen.

    Only the vault above the brow and the back of the head are used: they stay in every method,
    and their distance to the own surface is the same in every contrast.
    """
    points, normals = _vault(ctx)
    affine = ctx.before.affine
    sizes = voxel_edges(affine)
    ijk = (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    margin = 12 / sizes
    shape = np.array(ctx.before.shape[:3])
    seen = ((ijk > margin - 0.5) & (ijk < shape - 0.5 - margin)).all(axis=1)
    signed = _signed_distance(ctx.tissue, sizes)
    if np.count_nonzero(seen) < 200:
        # A tight field of view cuts the margin: the points themselves must be inside at least.
        seen = ((ijk > 0) & (ijk < shape - 1)).all(axis=1)
    if np.count_nonzero(seen) < 200:
        return None
    distance = ndimage.map_coordinates(signed, ijk[seen].T, order=1, mode="nearest")
    return float(np.linalg.norm(_shift(normals[seen], distance)))


def _shift(
    normals: npt.NDArray[np.float64], distance: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Shift and growth that explain distances along normals (robust least squares); the shift."""
    design = np.c_[normals, np.ones(len(normals))]
    weight = np.ones(len(normals))
    ridge = np.diag([0.01, 0.01, 0.01, 0.01]) * len(normals)
    solution = np.zeros(4)
    for _ in range(10):
        weighted = design * weight[:, None]
        solution = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ -distance)
        residual = np.abs(-distance - design @ solution)
        weight = 1 / np.maximum(residual, 2.0) * 2.0
    return solution[:3]


def _vault(ctx: GateContext) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Points (mm) and outward unit normals of the atlas' vault, carried to the image."""
    head = ctx.atlas.head
    smooth = ndimage.gaussian_filter(head.data.astype(np.float32), 1.5)
    edge = head.data & ~ndimage.binary_erosion(head.data)
    ijk = np.argwhere(edge)
    atlas_mm = ijk @ head.affine[:3, :3].T + head.affine[:3, 3]
    brow = float(ctx.atlas.landmarks["brow"][2])
    vault = (atlas_mm[:, 2] > brow + 10) | ((atlas_mm[:, 1] < -45) & (atlas_mm[:, 2] > -10))
    ijk, atlas_mm = ijk[vault], atlas_mm[vault]
    step = max(1, len(ijk) // MAX_POINTS)
    ijk, atlas_mm = ijk[::step], atlas_mm[::step]
    gradient = np.stack([np.gradient(smooth, axis=axis)[tuple(ijk.T)] for axis in range(3)], 1)
    linear = ctx.atlas_to_image[:3, :3]
    outward = -gradient @ np.linalg.inv(linear @ head.affine[:3, :3])
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    return atlas_mm @ linear.T + ctx.atlas_to_image[:3, 3], outward


def _signed_distance(
    body: npt.NDArray[np.bool_], sizes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Distance to the surface, mm, positive outside; the edge of the view is no surface."""
    box = bounding_box(body, int(np.ceil(40 / sizes.min())))
    part = body[box]
    signed = np.full(body.shape, 40.0, dtype=np.float32)
    outside = distance_mm(~part, sizes)
    signed[box] = outside - distance_mm(part, sizes)
    return signed
