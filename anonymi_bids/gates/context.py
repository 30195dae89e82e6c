"""What a gate may look at: the files before and after, and what is claimed about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.gates import brain, changes, surface
from anonymi_bids.head.atlas import Atlas, load_atlas
from anonymi_bids.io.images import Scan, mean_volume, open_scan, read_mask
from anonymi_bids.model import Carry, Finding, HeadFit, Status
from anonymi_bids.settings import GateSettings


@dataclass(frozen=True)
class Fault:
    """Why a gate fails: a sentence, the figure and its limit."""

    sentence: str
    figure: float
    limit: float


@dataclass(frozen=True)
class GateContext:
    """One image before and after, and what was claimed on the way.

    Attributes
    ----------
    before_file, after_file, mask_file : Path
        Original, candidate for the release, and its mask of changed voxels.
    sidecar : mapping
        Cleaned sidecar as it would be released.
    release_path : str
        Path below ``release/``.
    fit : HeadFit
        Head found on the session's reference.
    carry : Carry
        Motion from the reference to this image.
    atlas_to_image : (4, 4) ndarray
        Atlas mm → mm of this image.
    needles : tuple of str
        Strings of the input that must not be found in the release.
    settings : GateSettings
    ears : bool
        Whether ears were to be removed.
    rebuilt : bool
        Whether a new face was to be put in the old one's place, instead of air.
    allowed_keys : frozenset of str, optional
        Keys that a cleaned sidecar may have.
    given_atlas : Atlas, optional
        The shipped atlas if left out.
    surface_file : Path, optional
        Surface that is to be released with the image.
    """

    before_file: Path
    after_file: Path
    mask_file: Path
    sidecar: Mapping[str, Any]
    release_path: str
    fit: HeadFit
    carry: Carry
    atlas_to_image: npt.NDArray[np.float64]
    needles: tuple[str, ...]
    settings: GateSettings
    ears: bool
    rebuilt: bool = False
    allowed_keys: frozenset[str] | None = None
    given_atlas: Atlas | None = field(default=None, repr=False)
    surface_file: Path | None = None

    @cached_property
    def atlas(self) -> Atlas:
        """Atlas against which places are named."""
        if self.given_atlas is not None:
            return self.given_atlas
        return load_atlas()

    @cached_property
    def before(self) -> Scan:
        """Original, header read."""
        return open_scan(self.before_file)

    @cached_property
    def after(self) -> Scan:
        """Candidate for the release, header read."""
        return open_scan(self.after_file)

    @cached_property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Voxels that were said to be changed."""
        return read_mask(self.mask_file)

    @cached_property
    def before_mean(self) -> npt.NDArray[np.float32]:
        """Original (mean of its volumes), scaled, without NaN."""
        return np.nan_to_num(mean_volume(self.before), posinf=0.0, neginf=0.0)

    @cached_property
    def after_mean(self) -> npt.NDArray[np.float32]:
        """Candidate (mean of its volumes), scaled, without NaN."""
        return np.nan_to_num(mean_volume(self.after), posinf=0.0, neginf=0.0)

    @cached_property
    def changes(self) -> changes.Changes:
        """What differs between both files, volume by volume."""
        return changes.compare(self.before, self.after, self.mask, self.tissue)

    @cached_property
    def levels(self) -> tuple[float, float]:
        """Two grey values, a low and a higher one, that separate air from skin."""
        levels = surface.air_levels(self.before_mean)
        if levels == surface.CT_LEVELS:
            return levels
        return surface.over_noise(self.before_mean, self.before.affine, levels)

    @cached_property
    def tissue(self) -> npt.NDArray[np.bool_]:
        """Tissue of the original, down to its skin."""
        return surface.solid(self.before_mean, self.before.affine, self.levels[0])

    @cached_property
    def after_tissue(self) -> npt.NDArray[np.bool_]:
        """Tissue of the candidate, down to its surface."""
        return surface.solid(self.after_mean, self.before.affine, self.levels[0])

    @cached_property
    def own_brain(self) -> brain.OwnBrain:
        """Brain found in the original by grey values, and whether it is plausible."""
        return brain.find_brain(
            self.before_mean,
            self.before.affine,
            self.tissue,
            self.atlas.brain,
            self.atlas_to_image,
        )


def finding(
    gate: str,
    status: Status,
    sentence: str,
    *,
    figure: float | None = None,
    limit: float | None = None,
) -> Finding:
    """Make a finding with rounded figures."""
    return Finding(
        gate,
        status,
        None if figure is None else round(float(figure), 5),
        None if limit is None else float(limit),
        sentence,
    )
