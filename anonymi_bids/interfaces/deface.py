"""Nipype wrappers: the methods, one signature each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anonymi_bids.core.grid import same_grid
from anonymi_bids.core.pseudonym import seed_for
from anonymi_bids.errors import UnreadableImage
from anonymi_bids.interfaces.base import EvidenceInputSpec, EvidenceStep, traits
from anonymi_bids.io.images import open_scan, read_image, read_mask

if TYPE_CHECKING:
    from anonymi_bids.deface.mask import DefaceRegion
    from anonymi_bids.deface.own import Nasion
    from anonymi_bids.deface.places import Mask
    from anonymi_bids.deface.refill import Plan


class DefaceInputSpec(EvidenceInputSpec):
    """Inputs that all methods share."""

    seed = traits.Str(mandatory=True, desc="seed of the run")
    ears = traits.Bool(True, usedefault=True, desc="remove the ears too")
    brain_margin_mm = traits.Float(mandatory=True, desc="margin of the protected brain")


class MaskDeface(EvidenceStep):
    """Remove face and ears by the atlas' regions; every volume of a 4-D image."""

    input_spec = DefaceInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Build the region on the (mean) image and apply it to all volumes."""
        from anonymi_bids.deface.mask import build_region
        from anonymi_bids.head.atlas import load_atlas

        region = build_region(
            read_image(evidence["source"]),
            load_atlas(),
            np.asarray(evidence["atlas_to_image"], float),
            brain_margin_mm=self.inputs.brain_margin_mm,
            ears=self.inputs.ears,
            drawn=_drawn(evidence),
            nasion=_nasion(evidence),
        )
        return _applied(region, evidence, folder, self.inputs.seed)


class MlDefaceInputSpec(DefaceInputSpec):
    """Inputs of `MlDeface`."""

    min_confidence = traits.Float(mandatory=True, desc="the network must be this sure")


class MlDeface(EvidenceStep):
    """Remove face and ears as the network sees them in the image; every volume of a 4-D image."""

    input_spec = MlDefaceInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Look at the (mean) image, hold the look against the carried head, apply the region."""
        from anonymi_bids.deface.ml import build_region
        from anonymi_bids.head.atlas import load_atlas
        from anonymi_bids.head.find import contradiction
        from anonymi_bids.head.network import load_model
        from anonymi_bids.head.sight import see_head

        image = read_image(evidence["source"])
        atlas = load_atlas()
        carried = np.asarray(evidence["atlas_to_image"], float)
        sight = see_head(image, atlas, load_model(), start=carried)
        if sight.confidence < self.inputs.min_confidence:
            return {
                "failure": f"The network is not sure of what it sees ({sight.confidence:.2f}, "
                f"{self.inputs.min_confidence:.2f} is needed); use the method mask.",
                "sight": sight.figures,
            }
        against = contradiction(sight, carried, atlas, image)
        if against:
            return {"failure": against, "sight": sight.figures}
        region = build_region(
            image,
            sight.seen,
            atlas,
            sight.atlas_to_image,
            brain_margin_mm=self.inputs.brain_margin_mm,
            ears=self.inputs.ears,
        )
        done = _applied(region, evidence, folder, self.inputs.seed)
        return done | {"sight": {**sight.figures, "confidence": sight.confidence}}


class SurfaceDefaceInputSpec(DefaceInputSpec):
    """Inputs of `SurfaceDeface`."""

    style = traits.Enum("newface", "blur", mandatory=True, desc="whose face the new one is")
    blur_mm = traits.Float(mandatory=True, desc="low-pass of the style blur")


class SurfaceDeface(EvidenceStep):
    """Put a new face and new ears in the old ones' place; every volume of a 4-D image."""

    input_spec = SurfaceDefaceInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Plan the new face on the (mean) image and fill all volumes; one face a subject."""
        from anonymi_bids.deface.surface import plan_surface
        from anonymi_bids.head.atlas import load_atlas

        seed = seed_for(int(self.inputs.seed), "new face", evidence["entities"]["subject"])
        region, plan = plan_surface(
            read_image(evidence["source"]),
            load_atlas(),
            np.asarray(evidence["atlas_to_image"], float),
            brain_margin_mm=self.inputs.brain_margin_mm,
            ears=self.inputs.ears,
            style=self.inputs.style,
            smooth_mm=self.inputs.blur_mm,
            seed=seed,
            drawn=_drawn(evidence),
            nasion=_nasion(evidence),
        )
        return _applied(region, evidence, folder, self.inputs.seed, plan)


def _nasion(evidence: dict[str, Any]) -> Nasion | None:
    """Nasion of the session's reference, where the head was carried from there."""
    from anonymi_bids.deface.own import Nasion

    return Nasion(**evidence["nasion"]) if "nasion" in evidence else None


def _drawn(evidence: dict[str, Any]) -> Mask | None:
    """Read the region that was drawn by hand for an image, if there is one.

    Raises
    ------
    UnreadableImage
        If it is not on the image's grid (checked before the run, so it was changed since).
    """
    if not evidence.get("drawn_file"):
        return None
    mask, image = open_scan(evidence["drawn_file"]), open_scan(evidence["source"])
    if not same_grid(mask.shape, mask.affine, image.shape, image.affine, tolerance_mm=0.01):
        raise UnreadableImage(
            "The region drawn by hand does not lie on the grid of the image; draw it on the image."
        )
    return read_mask(mask.path)


def _applied(
    region: DefaceRegion,
    evidence: dict[str, Any],
    folder: Path,
    seed: str,
    plan: Plan | None = None,
) -> dict[str, Any]:
    """Write the image without its region, or with a new face there, and the region."""
    from anonymi_bids.deface.apply import deface_scan

    extension = evidence["entities"]["extension"]
    after, mask = folder / f"after{extension}", folder / "mask.nii.gz"
    fill_seed = seed_for(int(seed), "fill", evidence["image"])
    deface_scan(evidence["source"], after, mask, region, seed=fill_seed, plan=plan)
    return {
        "after_file": os.fspath(after),
        "mask_file": os.fspath(mask),
        "region": dict(region.figures),
    }
