"""Write an image without its face and ears, or with new ones, volume by volume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.fill import fill_air
from anonymi_bids.deface.mask import DefaceRegion
from anonymi_bids.deface.refill import Plan, refilled
from anonymi_bids.io.images import (
    Scan,
    clean_header,
    iter_volumes,
    open_scan,
    write_image,
    write_volumes,
)


def deface_scan(
    in_file: str | Path,
    out_file: str | Path,
    mask_file: str | Path,
    region: DefaceRegion,
    *,
    seed: int,
    plan: Plan | None = None,
) -> None:
    """Replace a region in every volume by the scan's own air; everything else stays as stored.

    One volume is in memory at a time. The same seed gives the same bytes.

    Parameters
    ----------
    in_file : path
        NIfTI image, 3-D or 4-D, any real dtype.
    out_file : path
        The same grid, dtype and scaling behind a header without text.
    mask_file : path
        uint8 image of the 3-D grid, 1 = replaced.
    region : DefaceRegion
        On the grid of `in_file`.
    seed : int
        Volume *t* draws from ``default_rng([seed, t])``.
    plan : Plan, optional
        Of a new face and ears; then the region is filled with these and air.

    Raises
    ------
    UnreadableImage, UnusableAffine, SpaceError
    ValueError
        If the region is not on the grid of the image.
    """
    scan = open_scan(in_file)
    if region.removed.shape != scan.shape[:3]:
        raise ValueError(
            f"The region has shape {region.removed.shape}, but the image has {scan.shape[:3]}; "
            "build the region from the image itself."
        )
    write_volumes(
        out_file, clean_header(scan.header), scan.dtype, _changed(scan, region, seed, plan)
    )
    write_image(mask_file, region.removed.astype(np.uint8), scan.affine)


def _changed(
    scan: Scan, region: DefaceRegion, seed: int, plan: Plan | None
) -> Iterator[npt.NDArray[Any]]:
    for number, volume in enumerate(iter_volumes(scan)):
        rng = np.random.default_rng([seed, number])
        if plan is None:
            yield fill_air(volume, region.removed, region.air, rng)
        else:
            yield refilled(volume, plan, rng)
