"""The face as depth maps, aligned by brain and skull, never by the face itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.mask import air_statistics, air_threshold, is_ct, largest_component
from anonymi_bids.core.render import STEP_MM, depth_map, picture_points, view_direction
from anonymi_bids.model import Image

if TYPE_CHECKING:
    from anonymi_bids.head.atlas import Atlas

Affine = npt.NDArray[np.float64]
Extent = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

AZIMUTHS = (-35.0, 0.0, 35.0)
SPACING_MM = 2.0
SKIN_GAP_MM = (5.0, 45.0)
"""Distance of skin from brain on the forehead; outside it the surface found is not skin."""

MIN_SEEN = 0.3
"""Share of rays that must meet a surface for a face to count as acquired."""

_HALF_WIDTH_MM = 76.0
_BELOW_CHIN_MM = 12.0
_ABOVE_BROW_MM = 36.0
_FACE_MARGIN_PIXELS = 3
_FAR_MM, _NEAR_MM = -20.0, 170.0

REST_SPACING_MM = 4.0
_REST = (
    (view_direction(0, 90), ((-92.0, 92.0), (-120.0, 80.0), (0.0, 170.0))),
    (view_direction(180), ((-92.0, 92.0), (-40.0, 160.0), (-20.0, 170.0))),
)
"""From above and from behind: direction and extent (`depth_map`)."""


def rigid_part(matrix: Affine, centre: npt.ArrayLike) -> Affine:
    """Give the rotation and shift of an affine that agree with it at one point.

    Parameters
    ----------
    matrix : (4, 4) ndarray
    centre : (3,) array_like
        Point that both map to the same place.

    Returns
    -------
    (4, 4) ndarray
        A proper rotation (nearest in the Frobenius norm) and a shift.
    """
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    rigid = np.eye(4)
    rigid[:3, :3] = u @ sign @ vt
    centre = np.asarray(centre, dtype=np.float64)
    rigid[:3, 3] = apply_affine(matrix, centre) - rigid[:3, :3] @ centre
    return rigid


def face_maps(
    image: Image, atlas: Atlas, atlas_to_image: Affine
) -> dict[str, npt.NDArray[np.float16]]:
    """See the face from three sides.

    The head frame is the rigid part of the affine, anchored at the brain's centre, so that sizes
    stay those of the person.

    Parameters
    ----------
    image : Image
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray

    Returns
    -------
    dict of float16 ndarray
        ``head`` (3, rows, columns): azimuth −35°, 0°, 35°, 2 mm pixels from the forehead to below
        the chin, mm towards the viewer; NaN for misses. ``depth``, the same in the face only, NaN
        elsewhere. ``skin_gap`` (1,): median distance of the surface from the brain on the
        forehead, mm; NaN if nothing was met there. ``rest`` (2, rows, columns): from above and
        from behind, 4 mm pixels; for attacks that complete a face from the rest of the head.
    """
    head_to_image = head_frame(atlas, atlas_to_image)
    share = skin_share(image)
    views, rest = head_views(share, image.affine, head_to_image, atlas)
    gap = _skin_gap(share, image.affine, atlas, atlas_to_image, head_to_image)
    return {
        "head": views.astype(np.float16),
        "depth": np.where(face_pixels(atlas), views, np.nan).astype(np.float16),
        "skin_gap": np.array([gap], dtype=np.float16),
        "rest": rest.astype(np.float16),
    }


def head_views(
    share: npt.NDArray[np.floating], affine: Affine, head_to_image: Affine, atlas: Atlas
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """See a surface from the front and both sides, and from above and behind.

    Parameters
    ----------
    share : (I, J, K) ndarray
        Share of each voxel inside the head.
    affine : (4, 4) ndarray
    head_to_image : (4, 4) ndarray
        Rigid head frame → mm of the image.
    atlas : Atlas

    Returns
    -------
    head, rest : (3, rows, columns) and (2, rows, columns) float32 ndarray
        As in `face_maps`.
    """
    views = [
        depth_map(share, affine, head_to_image, direction, spacing, extent)
        for direction, spacing, extent in view_grids(atlas)
    ]
    return np.stack(views[: len(AZIMUTHS)]), np.stack(views[len(AZIMUTHS) :])


def view_grids(atlas: Atlas) -> list[tuple[npt.NDArray[np.float64], float, Extent]]:
    """Give direction, pixel size and extent of each view: the face's three, the rest's two."""
    front = [(view_direction(side), SPACING_MM, _extent(atlas)) for side in AZIMUTHS]
    return front + [(direction, REST_SPACING_MM, extent) for direction, extent in _REST]


def view_shapes(atlas: Atlas) -> list[tuple[int, int]]:
    """Rows and columns of each view."""
    return [
        (round((high - low) / spacing), round((right - left) / spacing))
        for _, spacing, ((left, right), (low, high), _) in view_grids(atlas)
    ]


def _extent(atlas: Atlas) -> Extent:
    low = float(atlas.landmarks["chin"][2]) - _BELOW_CHIN_MM
    high = float(atlas.landmarks["brow"][2]) + _ABOVE_BROW_MM
    return (-_HALF_WIDTH_MM, _HALF_WIDTH_MM), (low, high), (_FAR_MM, _NEAR_MM)


def face_pixels(atlas: Atlas) -> npt.NDArray[np.bool_]:
    """Pixels of the views where an average head shows its face, 6 mm off the face's border.

    The border is left out because people differ in size: beyond it forehead, ears and neck begin,
    which stay in a release.

    Returns
    -------
    (3, rows, columns) bool ndarray
    """
    found = []
    extent = _extent(atlas)
    for side in AZIMUTHS:
        direction = view_direction(side)
        depth = depth_map(
            atlas.head.data,
            atlas.head.affine,
            np.eye(4),
            direction,
            SPACING_MM,
            extent,
            step_mm=2 * STEP_MM,
        )
        points, towards = picture_points(direction, SPACING_MM, extent[:2])
        places = points + np.nan_to_num(depth, nan=1e4)[..., None] * towards
        voxels = apply_affine(np.linalg.inv(atlas.face.affine).astype(np.float64), places)
        inside = ndimage.map_coordinates(
            atlas.face.data.astype(np.uint8), np.moveaxis(voxels, -1, 0), order=0
        )
        found.append(ndimage.binary_erosion(inside > 0, iterations=_FACE_MARGIN_PIXELS))
    return np.stack(found)


def skin_share(image: Image) -> npt.NDArray[np.float32]:
    """Share of each voxel inside the head: 0.5 where the signal crosses the skin's threshold.

    Finer than the voxels, since the signal across the skin's border is used, not only its mask.

    Returns
    -------
    (I, J, K) float32 ndarray
    """
    data = np.nan_to_num(np.asarray(image.data, dtype=np.float32), posinf=0, neginf=0)
    limit = air_threshold(data)
    air = -1000.0 if is_ct(data) else air_statistics(data)[0]
    share = (ndimage.gaussian_filter(data, 0.6) - air) / (2 * max(limit - air, 1e-12))
    # Rays stop at the first surface, so holes inside need no filling.
    head = largest_component(share > 0.5)
    near = ndimage.binary_dilation(head)
    return np.where(near, np.clip(share, 0, 1), 0).astype(np.float32)


def head_frame(atlas: Atlas, atlas_to_image: Affine) -> Affine:
    """Rigid head frame → image, anchored at the centre of the atlas' brain."""
    where = np.argwhere(atlas.brain.data).mean(axis=0)
    return rigid_part(atlas_to_image, apply_affine(atlas.brain.affine, where))


def _skin_gap(
    share: npt.NDArray[np.float32],
    affine: Affine,
    atlas: Atlas,
    atlas_to_image: Affine,
    head_to_image: Affine,
) -> float:
    """Median distance of the first surface from the brain, seen on the forehead."""
    brow, vertex = (float(atlas.landmarks[name][2]) for name in ("brow", "vertex"))
    top = max(brow + 20, brow + 0.6 * (vertex - brow))
    extent = ((-35.0, 35.0), (brow + 8, top), (_FAR_MM, _NEAR_MM))
    front = view_direction(0)
    skin = depth_map(share, affine, head_to_image, front, 2 * SPACING_MM, extent)
    brain = depth_map(
        atlas.brain.data.astype(bool),
        atlas.brain.affine,
        np.linalg.inv(atlas_to_image) @ head_to_image,
        front,
        2 * SPACING_MM,
        extent,
    )
    gap = (skin - brain)[np.isfinite(skin) & np.isfinite(brain)]
    return float(np.median(gap)) if gap.size >= 10 else float("nan")


def acquired(depth: npt.NDArray[np.floating], skin_gap: float) -> bool:
    """Whether depth maps show skin, so that an attack on them is an attack on a face."""
    seen = np.isfinite(depth).mean()
    return bool(seen >= MIN_SEEN and SKIN_GAP_MM[0] <= skin_gap <= SKIN_GAP_MM[1])
