"""Nipype wrappers: the methods, one signature each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.core.pseudonym import seed_for
from anonymi_bids.interfaces.base import EvidenceInputSpec, EvidenceStep, traits
from anonymi_bids.io.images import read_image


class MaskDefaceInputSpec(EvidenceInputSpec):
    """Inputs of `MaskDeface`."""

    seed = traits.Str(mandatory=True, desc="seed of the run")
    ears = traits.Bool(True, usedefault=True, desc="remove the ears too")
    brain_margin_mm = traits.Float(mandatory=True, desc="margin of the protected brain")


class MaskDeface(EvidenceStep):
    """Remove face and ears by the atlas' regions; every volume of a 4-D image."""

    input_spec = MaskDefaceInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Build the region on the (mean) image and apply it to all volumes."""
        from anonymi_bids.deface.apply import deface_scan
        from anonymi_bids.deface.mask import build_region
        from anonymi_bids.head.atlas import load_atlas

        region = build_region(
            read_image(evidence["source"]),
            load_atlas(),
            np.asarray(evidence["atlas_to_image"], float),
            brain_margin_mm=self.inputs.brain_margin_mm,
            ears=self.inputs.ears,
        )
        extension = evidence["entities"]["extension"]
        after, mask = folder / f"after{extension}", folder / "mask.nii.gz"
        seed = seed_for(int(self.inputs.seed), "fill", evidence["image"])
        deface_scan(evidence["source"], after, mask, region, seed=seed)
        return {
            "after_file": os.fspath(after),
            "mask_file": os.fspath(mask),
            "region": dict(region.figures),
        }
