"""Region and plan of the method `surface`: a new skin over face and ears, filled with tissue.

The region is that of the method `mask`. What `mask` turns into air becomes, below a new skin,
tissue that is nobody's (`anonymi_bids.deface.newskin`, `anonymi_bids.deface.refill`).
"""

from __future__ import annotations

import numpy as np

from anonymi_bids.core.grid import Affine, resample, voxel_sizes
from anonymi_bids.core.mask import distance_mm, head_mask
from anonymi_bids.deface.mask import DefaceRegion, build_region
from anonymi_bids.deface.newskin import new_skin
from anonymi_bids.deface.own import Nasion
from anonymi_bids.deface.places import Mask
from anonymi_bids.deface.refill import Plan
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.model import Image


def plan_surface(
    image: Image,
    atlas: Atlas,
    atlas_to_image: Affine,
    *,
    brain_margin_mm: float,
    ears: bool,
    style: str,
    smooth_mm: float,
    seed: int,
    drawn: Mask | None = None,
    nasion: Nasion | None = None,
) -> tuple[DefaceRegion, Plan]:
    """Plan a new face on the grid of an image.

    Parameters
    ----------
    image : Image
        3-D image (of a series: the mean), scaled float values.
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray
    brain_margin_mm : float
        The atlas' brain and CSF, grown by this, are protected.
    ears : bool
        Put new ears there too.
    style : {"newface", "blur"}
    smooth_mm : float
        Cut-off of `blur`.
    seed : int
        Draws the person of `newface`; the same for all images of a subject's session.
    drawn : (I, J, K) bool ndarray, optional
    nasion : Nasion, optional
        Both as in `anonymi_bids.deface.mask.build_region`.

    Returns
    -------
    region : DefaceRegion
        With ``moved_mean_mm`` and ``moved_p95_mm`` among its figures.
    plan : Plan
        For `anonymi_bids.deface.refill.refilled`.
    """
    head = head_mask(image.data, image.affine)
    region = build_region(
        image,
        atlas,
        atlas_to_image,
        brain_margin_mm=brain_margin_mm,
        ears=ears,
        head=head,
        drawn=drawn,
        nasion=nasion,
    )
    skin = new_skin(
        head,
        image.affine,
        region.removed,
        atlas,
        atlas_to_image,
        style=style,
        smooth_mm=smooth_mm,
        rng=np.random.default_rng(seed),
    )
    labels = resample(
        atlas.labels.data,
        atlas.labels.affine,
        image.affine,
        (head.shape[0], head.shape[1], head.shape[2]),
        order=0,
        source_to_target=atlas_to_image,
    )
    own_depth = distance_mm(head, voxel_sizes(image.affine))
    plan = Plan(
        removed=region.removed,
        depth=skin.depth,
        own_depth=own_depth.astype(np.float32),
        labels=labels.astype(np.uint8),
        air=region.air,
        head=head,
        affine=image.affine,
    )
    figures = {**region.figures, **skin.figures}
    return DefaceRegion(region.removed, region.protected, region.air, figures), plan
