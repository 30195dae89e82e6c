"""Region of the method `ml`: face and ears as the network sees them in the image itself.

No registration: the network's regions on its 2 mm grid are brought to the image's voxels. They
follow the own skin, and so would the cut. Therefore the face goes down to the atlas' core as well
(`anonymi_bids.deface.mask`), which lies where the network's own landmarks put it. Whatever lies
outside the predicted head and nearest to a region - hair, noise, the own skin where the network
drew the head a little small - goes with it. Brain and CSF stay with a margin: those that the
network sees, and the atlas' moved to where the own brain ends, as in `mask`.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from anonymi_bids.core.grid import Affine, apply_affine, resample, voxel_volume_ml
from anonymi_bids.core.mask import distance_mm, head_mask
from anonymi_bids.deface.mask import CORE_DEPTH_MM, DefaceRegion, far_air
from anonymi_bids.deface.own import fit_brain
from anonymi_bids.deface.places import UPRIGHT, Mask, Places
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.head.network import REGIONS, SPACING_MM, HeadMap
from anonymi_bids.head.sight import SURE
from anonymi_bids.model import Image

SHADOW_MM = 40.0
"""Air belongs to a region up to this distance from it."""
FACE_SHARE, EAR_SHARE, BRAIN_SHARE = 0.35, 0.15, 0.07
"""From this share on a voxel counts as face, as ear and as brain: doubt goes with the face, and
more doubt with the ears, which no brain is near, and with the brain."""
DEEP_MM = 10.0
"""The atlas' brain protects nothing nearer to the own skin: the network's affine may be some mm
off, and no brain is so near to the skin of face and ears."""
GROWN_MM = 2.0
"""Regions are grown by this within the head: the network knows their border to a voxel."""


def build_region(
    image: Image,
    seen: HeadMap,
    atlas: Atlas,
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
    seen : HeadMap
        What the network sees in it.
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray
        By the network (`anonymi_bids.head.sight.Sight`).
    brain_margin_mm : float
        Brain and CSF, predicted and the atlas', grown by this, are protected.
    ears : bool
        Remove the ears too.

    Returns
    -------
    DefaceRegion
        ``figures``: ``removed_ml``, ``face_ml``, ``brain_ml``.
    """
    region = seen.regions[0] > FACE_SHARE
    if region.any():
        region |= _before_core(region.shape, seen, atlas, atlas_to_image)
    if ears:
        region |= np.max(seen.regions[1:], axis=0) > EAR_SHARE
    brain = (seen.share("brain", "csf") > BRAIN_SHARE) & seen.in_view
    head = (seen.shares[0] < 0.5) & seen.in_view
    removed = _with_shadow(region, head)
    protected = distance_mm(~brain, SPACING_MM) <= brain_margin_mm
    shape = (image.data.shape[0], image.data.shape[1], image.data.shape[2])
    own = fit_brain(image, atlas.brain, atlas_to_image)
    places = Places(shape, image.affine, atlas, atlas_to_image)
    own_head = head_mask(image.data, image.affine)
    deep = distance_mm(own_head, image.voxel_sizes) >= DEEP_MM
    kept = deep & (places.bring_far(own.distance) < brain_margin_mm)
    kept |= _brought(protected, seen.affine, image, shape)
    gone = _brought(removed, seen.affine, image, shape) & ~kept
    air = far_air(own_head, image.affine) & ~gone & np.isfinite(image.data)
    unit = voxel_volume_ml(image.affine)
    figures = {
        "removed_ml": round(float(gone.sum()) * unit, 3),
        "face_ml": round(float((seen.regions[0] > 0.5).sum()) * SPACING_MM**3 / 1000, 3),
        "brain_ml": round(float(brain.sum()) * SPACING_MM**3 / 1000, 3),
        "n_regions": float(len(REGIONS) if ears else 1),
    }
    return DefaceRegion(gone, kept, air, figures)


def _before_core(
    shape: tuple[int, ...], seen: HeadMap, atlas: Atlas, atlas_to_image: Affine
) -> Mask:
    """Give what of the face's window lies before the atlas' core, on the network's grid."""
    places = Places(shape, seen.affine, atlas, atlas_to_image)
    up = 0.0
    if seen.sureness["nasion"] >= SURE:
        to_atlas = np.asarray(np.linalg.inv(atlas_to_image), np.float64)
        off = apply_affine(to_atlas, seen.landmarks["nasion"]) - atlas.landmarks["nasion"]
        up = float((UPRIGHT[:3, :3] @ off)[2])
    core = places.depth_in(atlas.head) >= CORE_DEPTH_MM
    return places.window(up, back_mm=0.0) & ~core


def _with_shadow(region: Mask, head: Mask) -> Mask:
    """Region, grown a little, and everything outside the head that lies nearest to it."""
    region = region & head
    if not region.any():
        return np.zeros(head.shape, bool)
    grown = distance_mm(~region, SPACING_MM) <= GROWN_MM
    apart, nearest = ndimage.distance_transform_edt(
        ~head, sampling=SPACING_MM, return_indices=True
    )
    shadow = region[tuple(nearest)] & (apart <= SHADOW_MM)
    return (grown & head) | (shadow & ~head)


def _brought(mask: Mask, affine: Affine, image: Image, shape: tuple[int, int, int]) -> Mask:
    """Bring a mask of the network's grid to the image, its edges interpolated."""
    soft = resample(mask.astype(np.float32), affine, image.affine, shape, order=1)
    return np.asarray(soft > 0.5, bool)
