"""Nipype wrappers: the head of a session, and its region in each image."""

from __future__ import annotations

import os
from collections.abc import Mapping
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

from anonymi_bids.core.grid import resample
from anonymi_bids.core.pseudonym import seed_for
from anonymi_bids.errors import ImageError
from anonymi_bids.interfaces.base import EvidenceInputSpec, EvidenceStep
from anonymi_bids.io.images import open_scan, read_image, read_mask, write_image
from anonymi_bids.io.records import (
    carry_from,
    fit_from,
    plain,
    read_json,
    session_from,
    write_record,
)
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
    from anonymi_bids.head.reference import choose_reference, describe

    candidates = []
    failures = []
    for image in session.images:
        try:
            candidates.append((image, describe(image)))
        except ImageError as error:
            failures.append(str(error))
    # What was given by hand was given for the first choice and speaks of no other image.
    tries = 1 if session.landmarks or session.drawn_file else MAX_TRIES
    best: dict[str, Any] | None = None
    for _ in range(min(tries, len(candidates))):
        index = choose_reference([described for _, described in candidates])
        image, _described = candidates.pop(index)
        try:
            fit = _find(read_image(image.source), session.landmarks, seed)
        except ImageError as error:
            failures.append(str(error))
            continue
        found = {"reference": image.source, "fit": plain(fit), "drawn_file": session.drawn_file}
        if (
            session.landmarks
            or fit.status not in ("no_head", "stripped")
            and fit.confidence >= min_confidence
        ):
            return found
        if best is None or fit.confidence > best["fit"]["confidence"]:
            best = found
    if best is not None:
        return best
    reason = failures[0] if failures else "The session has no image that could be read."
    given = bool(session.landmarks or session.drawn_file)
    return {"reference": None, "fit": None, "failure": reason, "given": given}


def _find(image: Any, landmarks: Mapping[str, Any], seed: int) -> HeadFit:
    """Place the head by landmarks where there are such, else look for it."""
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.byhand import place_head
    from anonymi_bids.head.find import find_head_checked
    from anonymi_bids.head.network import load_model

    if landmarks:
        return place_head(image, load_atlas(), landmarks, seed=seed)
    return find_head_checked(image, load_atlas(), load_model(), seed=seed)


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
        """Carry head and drawn region; say where a hand was at work."""
        head = read_json(self.inputs.head_file)
        added = self._place(head, evidence)
        if added.get("failure"):
            return added
        alone = "found_alone" in added["carry"]["figures"]
        drawn = _drawn_region(head, evidence, added, folder)
        given = "landmarks_given" in added["fit"]["figures"]
        return added | drawn | _hands(landmarks=given and not alone, drawn="drawn_file" in drawn)

    def _place(self, head: dict[str, Any], evidence: dict[str, Any]) -> dict[str, Any]:
        """Carry, check, and where the check fails look for the head in the image itself."""
        scan = open_scan(evidence["source"])
        if head.get("fit") is None:
            if head["given"]:
                return {"failure": head["failure"]}
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
        from anonymi_bids.deface.own import nasion_of
        from anonymi_bids.head.atlas import load_atlas

        seed, atlas = _ants_seed(self.inputs.seed), load_atlas()
        carried = carry(reference, image, fit, atlas, seed=seed)
        if carried.accepted and carried.agreement >= self.inputs.min_agreement:
            nasion = nasion_of(reference, fit.atlas_to_image, atlas.landmarks)
            placed = _placed(fit, carried, carried.reference_to_image @ fit.atlas_to_image)
            return placed | {"nasion": plain(nasion)}
        return self._on_its_own(image, carried, seed)

    def _on_its_own(self, image: Any, carried: Carry | None, seed: int) -> dict[str, Any]:
        from anonymi_bids.head.atlas import load_atlas
        from anonymi_bids.head.find import find_head_checked
        from anonymi_bids.head.network import load_model

        own = find_head_checked(image, load_atlas(), load_model(), seed=seed)
        usable = own.status not in ("no_head", "stripped")
        if usable and own.confidence >= self.inputs.min_confidence:
            sentence = "The head was found in the image itself, not carried from the reference."
            alone = Carry(np.eye(4), own.confidence, True, sentence, {"found_alone": 1.0})
            return _placed(own, alone, own.atlas_to_image)
        if carried is None:
            return {"failure": own.sentence, "fit": plain(own)}
        return {"failure": carried.sentence, "carry": plain(carried), "fit": plain(own)}


def _drawn_region(
    head: dict[str, Any], evidence: dict[str, Any], placed: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Give the region that was drawn on the image, or else the reference's, carried to it."""
    own = evidence.get("drawn_file")
    if own or not head.get("drawn_file"):
        return {"drawn_file": own} if own else {}
    if head["reference"] == evidence["source"]:
        return {"drawn_file": head["drawn_file"]}
    carried = carry_from(placed["carry"])
    if "found_alone" in carried.figures:
        return {
            "failure": "The region that was drawn by hand on the session's reference could not be "
            "carried to this image; draw one on the image itself."
        }
    drawn, image = open_scan(head["drawn_file"]), open_scan(evidence["source"])
    moved = resample(
        read_mask(drawn.path).astype(np.float32),
        drawn.affine,
        image.affine,
        (image.shape[0], image.shape[1], image.shape[2]),
        source_to_target=carried.reference_to_image,
    )
    target = folder / "drawn.nii.gz"
    write_image(target, moved >= 0.5, image.affine)
    return {"drawn_file": os.fspath(target)}


def _hands(*, landmarks: bool, drawn: bool) -> dict[str, Any]:
    """Record what a person gave for an image."""
    given = {"landmarks": landmarks, "region": drawn}
    return {"by_hand": [name for name, there in given.items() if there]}


def _placed(fit: HeadFit, carried: Carry, atlas_to_image: Any) -> dict[str, Any]:
    return {
        "fit": plain(fit),
        "carry": plain(carried),
        "atlas_to_image": np.asarray(atlas_to_image).tolist(),
    }
