"""Region of the method `mask`: everything of face and ears becomes air.

The atlas tells *where* (a window from the brow to below the chin, back to the preauricular
points, and the ears) and *how deep* (its own head shrunk by `CORE_DEPTH_MM`, so that the cut does
not follow this person's skin). Where the affine fit is some mm off, the image itself corrects it:
the window hangs on the own nasion, the own skin goes wherever it lies, and the atlas' brain and
CSF, moved to where the own brain ends and grown by a margin, stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from anonymi_bids.core.grid import Affine, voxel_sizes, voxel_volume_ml
from anonymi_bids.core.mask import distance_mm, head_mask
from anonymi_bids.deface.own import Nasion, find_nasion, fit_brain
from anonymi_bids.deface.places import UPRIGHT, Box, Field, Mask, Places
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.model import Image

CORE_DEPTH_MM = 24.0
"""What lies deeper than this below the atlas' skin is kept in the window."""

SKIN_DEPTH_MM = 6.0
"""Own tissue down to this depth goes although the atlas' core or margin would keep it."""

SKIN_BY_BRAIN_MM = 3.5
"""The same beside the protected brain, where scalp and skull together are thicker than this."""

SIDE_DEPTH_MM = 14.0
SIDE_FORWARD_MM, SIDE_UP_MM = 20.0, -12.0
"""Beside the middle fossa (so far forward and so high, upright frame) nothing deeper goes: the
temporal lobe may hang some mm lower than the atlas knows."""

BEHIND_EARS_MM = 6.0
EAR_MARGIN_MM = 5.0
EAR_DEPTH_MM = 8.0
EAR_CLOSED_MM = 3.0
EAR_CLOSED_DEPTH_MM = 14.0
EAR_CLOSED_BRAIN_MM = 6.0
EAR_BRAIN_MM = 1.0
"""More margin to the brain at the ears, where the depth below the skin counts and where not."""

EAR_TOP_MM = 40.0
"""Height in the upright frame above which only what sticks out is taken for an ear."""

FINE_VOXEL_MM = 1.5
EAR_SEARCH_MM = 14.0
PINNA_HALF_MM = 7.0
AIR_DISTANCE_MM = 8.0
DEEPEST_MM = 15.0
EYE_LABEL = 6
EYE_MARGIN_MM = 3.0


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
    atlas: Atlas,
    atlas_to_image: Affine,
    *,
    brain_margin_mm: float,
    ears: bool,
    head: Mask | None = None,
    drawn: Mask | None = None,
    nasion: Nasion | None = None,
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
    head : (I, J, K) bool ndarray, optional
        Own head against air, where it is known.
    nasion : Nasion, optional
        That of the session's reference: so that all images of a session are cut at one height,
        those too that do not show the nose.
    drawn : (I, J, K) bool ndarray, optional
        Region drawn by hand: taken instead of all that is found here, but for what is protected.

    Returns
    -------
    DefaceRegion
    """
    head = head_mask(image.data, image.affine) if head is None else head
    if drawn is not None:
        return _by_hand(image, head, drawn, atlas, atlas_to_image, brain_margin_mm)
    if nasion is None or not nasion.found:
        nasion = find_nasion(head, image.affine, atlas_to_image, atlas.landmarks)
    own = fit_brain(image, atlas.brain, atlas_to_image)
    up = float((UPRIGHT[:3, :3] @ (0.0, nasion.forward, nasion.up))[2])
    whole = Places(image.data.shape, image.affine, atlas, atlas_to_image)
    box = whole.box(max(up, 0.0))
    part = head[box]
    places = whole.inside(box)
    depth = _depth(head, box, image.affine)
    brain_mm = places.bring_far(own.distance)
    protected = (brain_mm < brain_margin_mm) & (depth >= SKIN_BY_BRAIN_MM)
    core = (places.depth_in(atlas.head) >= CORE_DEPTH_MM) & (depth >= SKIN_DEPTH_MM)
    eyeballs = atlas.labels.data == EYE_LABEL
    eyes = places.distance_to(eyeballs, atlas.labels.affine, EYE_MARGIN_MM)
    beside_fossa = (places.coordinate(1) < SIDE_FORWARD_MM) & (places.coordinate(2) > SIDE_UP_MM)
    kept = protected | (core & (eyes > EYE_MARGIN_MM)) | (beside_fossa & (depth >= SIDE_DEPTH_MM))
    window = places.window(up, back_mm=-BEHIND_EARS_MM if ears else 0.0)
    changed = window & ~kept
    if ears:
        below = places.coordinate(2) < places.top(max(up, 0.0))
        for ear in (atlas.ear_left, atlas.ear_right):
            free_mm = brain_mm - brain_margin_mm
            ear_voxels = _ear_region(ear, places, part, depth, free_mm)
            changed |= below & ear_voxels & ~kept
    skin = window & part & (depth < SKIN_BY_BRAIN_MM) & places.above_chin()
    figures = _figures(changed, skin, brain_mm < brain_margin_mm, image.affine) | {
        "brain_seen": round(own.seen, 4),
        "brain_offset_mm": round(own.offset_mm, 2),
        "brain_offset_most_mm": round(own.offset_most_mm, 2),
        "nasion_found": float(nasion.found),
        "nasion_up_mm": round(nasion.up, 1),
    }
    removed, kept_everywhere = np.zeros(head.shape, bool), np.zeros(head.shape, bool)
    removed[box] = changed
    kept_everywhere[box] = protected
    air = far_air(head, image.affine) & ~removed & np.isfinite(image.data)
    return DefaceRegion(removed, kept_everywhere, air, figures)


def _by_hand(
    image: Image,
    head: Mask,
    drawn: Mask,
    atlas: Atlas,
    atlas_to_image: Affine,
    brain_margin_mm: float,
) -> DefaceRegion:
    """Region drawn by hand, without brain and CSF and their margin."""
    own = fit_brain(image, atlas.brain, atlas_to_image)
    places = Places(image.data.shape, image.affine, atlas, atlas_to_image)
    i, j, k = head.shape
    whole = (slice(0, i), slice(0, j), slice(0, k))
    depth = _depth(head, whole, image.affine)
    protected = (places.bring_far(own.distance) < brain_margin_mm) & (depth >= SKIN_BY_BRAIN_MM)
    removed = drawn & ~protected
    air = far_air(head, image.affine) & ~removed & np.isfinite(image.data)
    unit = voxel_volume_ml(image.affine)
    figures = {
        "removed_ml": round(int(np.count_nonzero(removed)) * unit, 3),
        "drawn_ml": round(int(np.count_nonzero(drawn)) * unit, 3),
        "brain_seen": round(own.seen, 4),
    }
    return DefaceRegion(removed, protected, air, figures)


def _depth(head: Mask, box: Box, affine: Affine) -> Field:
    """Depth below the own skin inside a box, mm; the edge of the field of view is no skin."""
    sizes = voxel_sizes(affine)
    margin = np.ceil(DEEPEST_MM / sizes).astype(int)
    wide = tuple(
        slice(max(0, part.start - int(m)), part.stop + int(m))
        for part, m in zip(box, margin, strict=True)
    )
    depth = distance_mm(head[wide], sizes)
    cut = tuple(
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(box, wide, strict=True)
    )
    return depth[cut].astype(np.float32)


def far_air(head: Mask, affine: Affine) -> Mask:
    """Air farther than `AIR_DISTANCE_MM` from the head, found on a coarse grid."""
    steps = np.maximum(1, np.round(3.0 / voxel_sizes(affine))).astype(int)
    thin = ndimage.maximum_filter(head, steps.tolist())[:: steps[0], :: steps[1], :: steps[2]]
    near = thin
    for _ in range(int(np.ceil(AIR_DISTANCE_MM / 3.0))):
        near = ndimage.binary_dilation(near)
    for axis, step in enumerate(steps):
        near = np.repeat(near, int(step), axis=axis)
    return ~near[: head.shape[0], : head.shape[1], : head.shape[2]]


def _ear_region(ear: Image, places: Places, head: Mask, depth: Field, free_mm: Field) -> Mask:
    """One ear with margin, what sticks out of the own head near it, and the air outside it."""
    sizes = voxel_sizes(places.affine)
    # A thick slice shows an ear smeared over its whole thickness.
    slack = max(0.0, float(sizes.max()) - FINE_VOXEL_MM)
    distance = places.distance_to(ear.data, ear.affine, max(EAR_SEARCH_MM, EAR_MARGIN_MM + slack))
    region = (distance <= EAR_MARGIN_MM + slack) & (depth < EAR_DEPTH_MM + slack)
    # Depth tells nothing of an ear whose gap to the head was closed by the head's mask.
    closed = (distance <= EAR_CLOSED_MM) & (depth < EAR_CLOSED_DEPTH_MM)
    region |= closed & (free_mm >= EAR_CLOSED_BRAIN_MM)
    region &= (places.coordinate(2) < EAR_TOP_MM) & (free_mm >= EAR_BRAIN_MM)
    near = distance < EAR_SEARCH_MM
    if not near.any():
        return region
    box = tuple(
        slice(int(line[0]), int(line[-1]) + 1)
        for line in (np.flatnonzero(near.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    )
    inner = distance_mm(depth[box] <= PINNA_HALF_MM, sizes)
    pinna = near[box] & head[box] & (inner > PINNA_HALF_MM + 1)
    region[box] |= pinna
    region[box] |= near[box] & ~head[box]
    return region


def _figures(removed: Mask, skin: Mask, near_brain: Mask, affine: Affine) -> dict[str, float]:
    unit = voxel_volume_ml(affine)
    left = skin & ~removed
    n_skin = int(np.count_nonzero(skin))
    return {
        "removed_ml": round(int(np.count_nonzero(removed)) * unit, 3),
        "window_skin_ml": round(n_skin * unit, 3),
        "skin_left": round(np.count_nonzero(left) / n_skin, 5) if n_skin else 0.0,
        "brain_kept_skin_ml": round(int(np.count_nonzero(left & near_brain)) * unit, 3),
    }
