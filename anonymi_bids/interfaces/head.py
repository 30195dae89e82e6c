"""Nipype wrappers: the head of a session, and its region in each image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from anonymi_bids.core.pseudonym import seed_for
from anonymi_bids.errors import ImageError
from anonymi_bids.interfaces.base import EvidenceInputSpec, EvidenceStep
from anonymi_bids.io.images import open_scan, read_image
from anonymi_bids.io.records import fit_from, plain, read_json, session_from, write_record
from anonymi_bids.model import Carry, HeadFit

MAX_TRIES = 3
"""Images of a session that are tried as reference before its head counts as not found."""


def _ants_seed(seed: str) -> int:
    """Seed for registrations, which take 31 bits only."""
    return seed_for(int(seed), "registration", "") % 2**31


class FindHeadInputSpec(BaseInterfaceInputSpec):
    """Inputs of `FindHead`."""

    session_file = File(exists=True, mandatory=True, desc="session plan, JSON")
    seed = traits.Str(mandatory=True, desc="seed of the run")
    min_confidence = traits.Float(mandatory=True, desc="below it the next image is tried")


class FindHeadOutputSpec(TraitedSpec):
    """Outputs of `FindHead`."""

    head_file = File(exists=True, desc="reference and where its head lies, JSON")


class FindHead(SimpleInterface):
    """Choose a session's reference image and find the head in it."""

    input_spec = FindHeadInputSpec
    output_spec = FindHeadOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        session = session_from(read_json(self.inputs.session_file))
        seed = _ants_seed(self.inputs.seed)
        head = _find_session_head(session, seed, self.inputs.min_confidence)
        target = Path(runtime.cwd) / "head.json"
        write_record(target, head)
        self._results["head_file"] = os.fspath(target)
        return runtime


def _find_session_head(session: Any, seed: int, min_confidence: float) -> dict[str, Any]:
    """Try the best images of a session until a head is found with confidence."""
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.locate import find_head
    from anonymi_bids.head.reference import choose_reference

    candidates = []
    failures = []
    for image in session.images:
        try:
            scan = open_scan(image.source)
        except ImageError as error:
            failures.append(str(error))
            continue
        sizes = tuple(float(size) for size in np.sqrt((scan.affine[:3, :3] ** 2).sum(axis=0)))
        candidates.append((image, (image.entities, image.sidecar, scan.shape, sizes)))
    best: dict[str, Any] | None = None
    for _ in range(min(MAX_TRIES, len(candidates))):
        index = choose_reference([described for _, described in candidates])
        image, _described = candidates.pop(index)
        try:
            fit = find_head(read_image(image.source), load_atlas(), seed=seed)
        except ImageError as error:
            failures.append(str(error))
            continue
        found = {"reference": image.source, "fit": plain(fit)}
        if fit.status not in ("no_head", "stripped") and fit.confidence >= min_confidence:
            return found
        if best is None or fit.confidence > best["fit"]["confidence"]:
            best = found
    if best is not None:
        return best
    reason = failures[0] if failures else "The session has no image that could be read."
    return {"reference": None, "fit": None, "failure": reason}


class CarryRegionInputSpec(EvidenceInputSpec):
    """Inputs of `CarryRegion`."""

    head_file = File(exists=True, mandatory=True, desc="from FindHead")
    seed = traits.Str(mandatory=True, desc="seed of the run")
    min_agreement = traits.Float(mandatory=True, desc="carries below it are not accepted")
    min_confidence = traits.Float(mandatory=True, desc="for a head found in the image itself")


class CarryRegion(EvidenceStep):
    """Bring the head's place from the reference to one image of the session."""

    input_spec = CarryRegionInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Carry, check, and where the check fails look for the head in the image itself."""
        head = read_json(self.inputs.head_file)
        scan = open_scan(evidence["source"])
        if head.get("fit") is None:
            image = read_image(scan.path)
            return self._on_its_own(image, None, _ants_seed(self.inputs.seed))
        fit = fit_from(head["fit"])
        if fit.status in ("no_head", "stripped"):
            return {"failure": fit.sentence, "fit": head["fit"]}
        if head["reference"] == evidence["source"]:
            carried = Carry(np.eye(4), 1.0, True, "This is the reference of its session.")
            return _placed(fit, carried, fit.atlas_to_image) | {"is_reference": True}
        return self._carried(read_image(head["reference"]), read_image(scan.path), fit)

    def _carried(self, reference: Any, image: Any, fit: HeadFit) -> dict[str, Any]:
        from anonymi_bids.deface.carry import carry
        from anonymi_bids.head.atlas import load_atlas

        seed = _ants_seed(self.inputs.seed)
        carried = carry(reference, image, fit, load_atlas(), seed=seed)
        if carried.accepted and carried.agreement >= self.inputs.min_agreement:
            return _placed(fit, carried, carried.reference_to_image @ fit.atlas_to_image)
        return self._on_its_own(image, carried, seed)

    def _on_its_own(self, image: Any, carried: Carry | None, seed: int) -> dict[str, Any]:
        from anonymi_bids.head.atlas import load_atlas
        from anonymi_bids.head.locate import find_head

        own = find_head(image, load_atlas(), seed=seed)
        usable = own.status not in ("no_head", "stripped")
        if usable and own.confidence >= self.inputs.min_confidence:
            sentence = "The head was found in the image itself, not carried from the reference."
            alone = Carry(np.eye(4), own.confidence, True, sentence, {"found_alone": 1.0})
            return _placed(own, alone, own.atlas_to_image)
        if carried is None:
            return {"failure": own.sentence, "fit": plain(own)}
        return {"failure": carried.sentence, "carry": plain(carried), "fit": plain(own)}


def _placed(fit: HeadFit, carried: Carry, atlas_to_image: Any) -> dict[str, Any]:
    return {
        "fit": plain(fit),
        "carry": plain(carried),
        "atlas_to_image": np.asarray(atlas_to_image).tolist(),
    }
