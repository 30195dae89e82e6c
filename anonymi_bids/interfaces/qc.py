"""Nipype wrapper: leave behind what a person needs to judge one image with their own eyes."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.errors import ImageError
from anonymi_bids.interfaces.base import EvidenceInputSpec, EvidenceStep, traits
from anonymi_bids.io.images import read_image, read_mask, write_image
from anonymi_bids.io.records import entities_from, read_json, verdict_from
from anonymi_bids.model import Image

OUTLINE = (255, 140, 0)
"""Colour of the changed region's border: orange, which colour-blind people see on grey."""


class MakeQcInputSpec(EvidenceInputSpec):
    """Inputs of `MakeQc`."""

    qc = traits.Enum("full", "slices", "none", mandatory=True, desc="how much is shown")
    output_dir = traits.Str(mandatory=True, desc="OUTPUT of the run")


class MakeQc(EvidenceStep):
    """Draw one image before and after, for ``private/qc``; withheld images too."""

    input_spec = MakeQcInputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from anonymi_bids.report.qc import forget_piece, write_piece

        evidence = read_json(self.inputs.evidence_file)
        private = Path(self.inputs.output_dir) / "private"
        if self.inputs.qc == "none":
            forget_piece(private, evidence["image"])
        else:
            write_piece(private, make_piece(evidence, volumes=self.inputs.qc == "full"))
        self._results["evidence_file"] = self.inputs.evidence_file
        return runtime


def make_piece(evidence: Mapping[str, Any], *, volumes: bool) -> dict[str, Any]:
    """Collect what is shown of one image.

    Parameters
    ----------
    evidence : mapping
        All evidence on the image so far; with ``failure`` if it cannot be used.
    volumes : bool
        Keep small volumes to turn, too.

    Returns
    -------
    dict
        See `anonymi_bids.report.qc`; pictures and volumes as base64 text.
    """
    verdict = verdict_from({"findings": (), "overruled": {}, **evidence})
    failure = evidence.get("failure")
    reasons = [failure] if failure else list(verdict.reasons)
    piece: dict[str, Any] = {
        "image": evidence["image"],
        "contrast": entities_from(evidence["entities"]).suffix,
        "released": not failure and verdict.passed,
        "reasons": [] if not failure and verdict.passed else reasons,
        "overruled": dict(verdict.overruled),
        "findings": list(evidence.get("findings", ())),
        "has_head": False,
        "unread": "",
        "slices": [],
        "renders": [],
        "volumes": {},
    }
    try:
        images = {"before": read_image(evidence["source"])}
        if evidence.get("after_file"):
            images["after"] = read_image(evidence["after_file"])
        mask = read_mask(evidence["mask_file"]) if evidence.get("mask_file") else None
    except ImageError as error:
        return piece | {"unread": str(error)}
    return piece | _pictures(images, mask, evidence, volumes=volumes)


def _pictures(
    images: Mapping[str, Image], mask: Any, evidence: Mapping[str, Any], *, volumes: bool
) -> dict[str, Any]:
    from anonymi_bids.audit.faces import skin_share
    from anonymi_bids.report import sight
    from anonymi_bids.report.png import as_text, grey_png, overlay_png

    frame = _frame(images["before"], evidence)
    window = sight.window_of(images["before"].data)
    cut: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    packed: dict[str, str] = {}
    for stage, image in images.items():
        cut[stage] = sight.slice_pictures(image, frame, window)
        small = sight.upright(image, frame, window.low)
        share = skin_share(small)
        seen[stage] = sight.render_pictures(share, small.affine)
        if volumes:
            packed[stage] = as_text(_nifti(sight.packed_volume(small, window, share)))
    outlines = {}
    if mask is not None:
        outlines = sight.slice_outlines(mask, images["before"].affine, frame)
    shown = {
        kind: [
            {"name": name}
            | {
                stage: as_text(grey_png(pictures[stage][name])) if stage in pictures else None
                for stage in ("before", "after")
            }
            for name in pictures["before"]
        ]
        for kind, pictures in (("slices", cut), ("renders", seen))
    }
    for entry in (*shown["slices"], *shown["renders"]):
        outline = outlines.get(entry["name"])
        entry["outline"] = None if outline is None else as_text(overlay_png(outline, OUTLINE))
    return {"has_head": frame.has_head, "volumes": packed, **shown}


def _frame(image: Image, evidence: Mapping[str, Any]) -> Any:
    """Frame of the head where its place is known, else of the image."""
    from anonymi_bids.audit.faces import head_frame
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.report.sight import frame_of_head, frame_of_image

    if "atlas_to_image" not in evidence:
        return frame_of_image(image)
    atlas = load_atlas()
    to_image = head_frame(atlas, np.asarray(evidence["atlas_to_image"], float))
    brain = apply_affine(atlas.brain.affine, np.argwhere(atlas.brain.data).mean(axis=0))
    return frame_of_head(to_image, atlas.landmarks, brain)


def _nifti(image: Image) -> bytes:
    """Pack a volume as a NIfTI file, gzipped without name or time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii"
        write_image(os.fspath(path), image.data, image.affine)
        return gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)
