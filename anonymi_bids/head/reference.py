"""Choose the image of a session on which the head is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anonymi_bids.errors import ImageError
from anonymi_bids.io.images import open_scan
from anonymi_bids.model import Entities, InputImage

Candidate = tuple[Entities, Mapping[str, Any], tuple[int, ...], tuple[float, ...]]
"""Name, sidecar, shape and voxel sizes (mm) of an image."""

_ORDER = ("T1w", "T2w", "FLAIR", "PDw", "PDT2", "T2starw", "MP2RAGE", "UNIT1")


def choose_reference(candidates: Sequence[Candidate]) -> int:
    """Choose the image that shows the head best.

    Parameters
    ----------
    candidates : sequence of (entities, sidecar, shape, voxel sizes)

    Returns
    -------
    int
        Index of the best: anatomical before others, 3-D before thick slices, T1w first, then the
        larger field of view; the first of equals.
    """
    return min(range(len(candidates)), key=lambda index: (*_rank(candidates[index]), index))


def describe(image: InputImage) -> Candidate:
    """Read from an image's header what `choose_reference` asks for.

    Raises
    ------
    UnreadableImage, UnusableAffine
    """
    scan = open_scan(image.source)
    sizes = np.sqrt((scan.affine[:3, :3] ** 2).sum(axis=0))
    return image.entities, image.sidecar, scan.shape, tuple(float(size) for size in sizes)


def first_reference(images: Sequence[InputImage]) -> InputImage | None:
    """Choose the image of a session that is tried first; None if none can be read."""
    readable, candidates = [], []
    for image in images:
        try:
            candidates.append(describe(image))
        except ImageError:
            continue
        readable.append(image)
    return readable[choose_reference(candidates)] if candidates else None


def _rank(candidate: Candidate) -> tuple[float, ...]:
    entities, _sidecar, shape, sizes = candidate
    thick = max(sizes) > 2.5
    suffix = _ORDER.index(entities.suffix) if entities.suffix in _ORDER else len(_ORDER)
    extent = np.array(shape[:3]) * np.array(sizes)
    return (
        float(entities.datatype != "anat"),
        float(thick),
        float(suffix),
        -float(round(np.minimum(extent, 240.0).prod() / 1e5)),
        max(sizes),
    )
