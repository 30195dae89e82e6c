"""Region of the method `mask`: everything of face and ears becomes air.

The atlas tells *where* (a window from the brow to below the chin, back to the preauricular
points, and the ears) and *how deep* (its own head shrunk by `CORE_DEPTH_MM`, so that the cut does
not follow this person's skin). The image's own head mask makes sure that its skin goes even
where the affine fit is some mm off. The atlas' brain and CSF, grown by a margin, stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, voxel_sizes, voxel_volume_ml
from anonymi_bids.core.mask import dilate_mm, head_mask
from anonymi_bids.model import Image

Mask = npt.NDArray[np.bool_]
Field = npt.NDArray[np.float32]

CORE_DEPTH_MM = 20.0
"""What lies deeper than this below the atlas' skin is kept in the window."""

SKIN_DEPTH_MM = 6.0
"""Own tissue down to this depth goes although the atlas' core or margin would keep it."""

SKIN_BY_BRAIN_MM = 3.5
"""The same beside the protected brain; scalp and skull are thicker than this everywhere."""

BRAIN_ITSELF_MM = 1.0
"""Nearer than this to the atlas' brain nothing is ever touched, skin or not."""

ABOVE_BROW_MM = 4.0
BELOW_CHIN_MM = 30.0
BEHIND_EARS_MM = 6.0
EAR_MARGIN_MM = 5.0
EAR_DEPTH_MM = 8.0
EAR_SEARCH_MM = 14.0
PINNA_HALF_MM = 7.0
AIR_DISTANCE_MM = 8.0


class AtlasLike(Protocol):
    """What is needed of `anonymi_bids.head.atlas.Atlas`."""

    @property
    def brain(self) -> Image: ...
    @property
    def head(self) -> Image: ...
    @property
    def ear_left(self) -> Image: ...
    @property
    def ear_right(self) -> Image: ...
    @property
    def landmarks(self) -> Mapping[str, npt.NDArray[np.float64]]: ...


@dataclass(frozen=True, slots=True)
class DefaceRegion:
    """What is replaced in one image, on its grid.

    Attributes
    ----------
    removed : (I, J, K) bool ndarray
        Voxels that become air.
    protected : (I, J, K) bool ndarray
        Voxels that are never touched: brain and CSF with their margin.
    air : (I, J, K) bool ndarray
        Air of the scan that the fill may be drawn from.
    figures : mapping
        ``removed_ml``, ``window_skin_ml`` (own skin in the face window), ``skin_left`` (share of
        it that stays), ``brain_kept_skin_ml`` (skin that stays because the brain is near).
    """

    removed: Mask
    protected: Mask
    air: Mask
    figures: Mapping[str, float] = field(default_factory=dict)


def build_region(
    image: Image,
    atlas: AtlasLike,
    atlas_to_image: Affine,
    *,
    brain_margin_mm: float,
    ears: bool,
) -> DefaceRegion:
    """Find the voxels of face and ears on the grid of an image.

    Parameters
    ----------
    image : Image
        3-D image (of a series: the mean), scaled float values.
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray
        Atlas mm → mm of `image`.
    brain_margin_mm : float
        The atlas' brain and CSF, grown by this, are protected.
    ears : bool
        Remove the ears too.

    Returns
    -------
    DefaceRegion
    """
    head = head_mask(image.data, image.affine)
    depth = _depth(head, image.affine)
    places = _Places(image, atlas, atlas_to_image)
    brain_mm = places.distance_to(atlas.brain)
    itself = brain_mm <= BRAIN_ITSELF_MM
    protected = itself | ((brain_mm < brain_margin_mm) & (depth >= SKIN_BY_BRAIN_MM))
    core = (places.depth_in(atlas.head) >= CORE_DEPTH_MM) & (depth >= SKIN_DEPTH_MM)
    kept = protected | core
    window = places.window(back_mm=-BEHIND_EARS_MM if ears else 0.0)
    removed = window & ~kept
    if ears:
        for ear in (atlas.ear_left, atlas.ear_right):
            removed |= _ear_region(ear, places, head, depth, image.affine) & ~kept
    air = ~dilate_mm(head, image.affine, AIR_DISTANCE_MM) & ~removed & np.isfinite(image.data)
    skin = window & head & (depth < SKIN_BY_BRAIN_MM) & places.above_chin()
    figures = _figures(removed, skin, brain_mm < brain_margin_mm, image.affine)
    return DefaceRegion(removed, protected, air, figures)


class _Places:
    """Atlas coordinates and maps on the grid of one image."""

    def __init__(self, image: Image, atlas: AtlasLike, atlas_to_image: Affine) -> None:
        self.shape = image.data.shape
        self.to_atlas = np.linalg.inv(atlas_to_image) @ image.affine
        self.scale = float(np.linalg.svd(atlas_to_image[:3, :3], compute_uv=False).min())
        self.landmarks = atlas.landmarks

    def coordinate(self, axis: int) -> Field:
        """Atlas x, y or z (mm) of each voxel."""
        row = self.to_atlas[axis]
        i, j, k = (
            (row[n] * np.arange(size)).astype(np.float32) for n, size in enumerate(self.shape)
        )
        return i[:, None, None] + j[None, :, None] + (k + np.float32(row[3]))[None, None, :]

    def bring(self, data: npt.NDArray[Any], affine: Affine, *, mode: str, cval: float) -> Field:
        """Interpolate a map of the atlas linearly on the image's grid."""
        matrix = np.linalg.inv(affine) @ self.to_atlas
        return ndimage.affine_transform(
            data.astype(np.float32, copy=False),
            matrix[:3, :3],
            offset=matrix[:3, 3],
            output_shape=self.shape,
            order=1,
            mode=mode,
            cval=cval,
        )

    def distance_to(self, region: Image) -> Field:
        """Distance to a region of the atlas in mm of the image, 0 inside, large far away."""
        distance = ndimage.distance_transform_edt(~region.data, sampling=region.voxel_sizes)
        return self.bring(distance, region.affine, mode="constant", cval=1e3) * self.scale

    def depth_in(self, head: Image) -> Field:
        """Depth below the atlas' skin in mm; the neck goes on below the atlas."""
        depth = ndimage.distance_transform_edt(head.data, sampling=head.voxel_sizes)
        return self.bring(depth, head.affine, mode="nearest", cval=0.0) * self.scale

    def window(self, *, back_mm: float) -> Mask:
        """Brow to below the chin, in front of the preauricular points, air included."""
        top = float(self.landmarks["brow"][2]) + ABOVE_BROW_MM
        bottom = float(self.landmarks["chin"][2]) - BELOW_CHIN_MM
        z = self.coordinate(2)
        return (z < top) & (z > bottom) & (self.coordinate(1) > back_mm)

    def above_chin(self) -> Mask:
        """Voxels not lower than the chin."""
        return self.coordinate(2) > float(self.landmarks["chin"][2])


def _depth(head: Mask, affine: Affine) -> Field:
    """Depth below the own skin, mm; the edge of the field of view is no skin."""
    return ndimage.distance_transform_edt(head, sampling=voxel_sizes(affine)).astype(np.float32)


def _ear_region(ear: Image, places: _Places, head: Mask, depth: Field, affine: Affine) -> Mask:
    """One ear with margin, what sticks out of the own head near it, and the air outside it."""
    distance = places.distance_to(ear)
    region = (distance <= EAR_MARGIN_MM) & (depth < EAR_DEPTH_MM)
    near = distance < EAR_SEARCH_MM
    if not near.any():
        return region
    box = tuple(
        slice(int(line[0]), int(line[-1]) + 1)
        for line in (np.flatnonzero(near.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    )
    sizes = voxel_sizes(affine)
    inner = ndimage.distance_transform_edt(depth[box] <= PINNA_HALF_MM, sampling=sizes)
    pinna = near[box] & head[box] & (inner > PINNA_HALF_MM + 1)
    region[box] |= pinna
    region[box] |= near[box] & ~head[box]
    return region


def _figures(removed: Mask, skin: Mask, near_brain: Mask, affine: Affine) -> dict[str, float]:
    unit = voxel_volume_ml(affine)
    left = skin & ~removed
    n_skin = int(np.count_nonzero(skin))
    return {
        "removed_ml": round(np.count_nonzero(removed) * unit, 3),
        "window_skin_ml": round(n_skin * unit, 3),
        "skin_left": round(np.count_nonzero(left) / n_skin, 5) if n_skin else 0.0,
        "brain_kept_skin_ml": round(np.count_nonzero(left & near_brain) * unit, 3),
    }
