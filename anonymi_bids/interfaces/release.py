"""Nipype wrappers: from a defaced image to the release, or to the list of the withheld."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.core.pseudonym import seed_for
from anonymi_bids.interfaces.base import EvidenceInputSpec, EvidenceStep, traits
from anonymi_bids.io.atomic import space_errors, write_json
from anonymi_bids.io.images import read_image
from anonymi_bids.io.outcomes import outcome_path
from anonymi_bids.io.records import (
    carry_from,
    entities_from,
    fit_from,
    image_from,
    plain,
    read_json,
)
from anonymi_bids.model import Finding, Verdict
from anonymi_bids.settings import GateSettings

IMAGE_KEYS = ("source", "entities", "sidecar", "companions")
"""Fields of `InputImage` among the evidence."""

KEPT = (
    "input_digest",
    "fit",
    "carry",
    "atlas_to_image",
    "region",
    "by_hand",
    "geometry",
)
"""What of the graph's evidence goes into the image's record."""


class CleanMetadataInputSpec(EvidenceInputSpec):
    """Inputs of `CleanMetadata`."""

    seed = traits.Str(mandatory=True, desc="seed of the run")
    method = traits.Str(mandatory=True, desc="what was done to the voxels")
    fiducials = traits.Bool(False, usedefault=True, desc="let landmarks of the original out")


class CleanMetadata(EvidenceStep):
    """Clean the sidecar by allow-list, and the files that share the image's name."""

    input_spec = CleanMetadataInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Write the cleaned sidecar and companions."""
        from anonymi_bids.bids.sidecar import clean_sidecar
        from anonymi_bids.bids.stage import stage_companions, stage_sidecar

        image = image_from({key: evidence[key] for key in IMAGE_KEYS})
        renames: Mapping[str, str] = evidence.get("renames", {})
        cleaned = clean_sidecar(
            image.sidecar,
            entities=image.entities,
            seed=int(self.inputs.seed),
            rename=renames.get,
            done=self.inputs.method,
            landmarks=evidence.get("landmarks") if self.inputs.fiducials else None,
        )
        files = stage_sidecar(cleaned, image.entities, folder)
        companions, faults = stage_companions(
            image, folder, needles=read_json(evidence["needles_file"])
        )
        return {
            "cleaned": cleaned,
            "metadata_files": {
                name: os.fspath(path) for name, path in (files | companions).items()
            },
            "notes": list(faults),
        }


class RunGatesInputSpec(EvidenceInputSpec):
    """Inputs of `RunGates`."""

    gates_json = traits.Str(mandatory=True, desc="limits of the gates")
    ears = traits.Bool(mandatory=True, desc="whether ears were to be removed")
    rebuilt = traits.Bool(mandatory=True, desc="whether a new face was to be put there")
    fiducials = traits.Bool(False, usedefault=True, desc="whether landmarks may be released")


class RunGates(EvidenceStep):
    """Ask every gate about one image."""

    input_spec = RunGatesInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Add the findings."""
        from anonymi_bids.bids.sidecar import ALLOWED_KEYS, LANDMARKS
        from anonymi_bids.gates import run_gates
        from anonymi_bids.gates.context import GateContext

        allowed = ALLOWED_KEYS if self.inputs.fiducials else ALLOWED_KEYS - {LANDMARKS}
        context = GateContext(
            before_file=Path(evidence["source"]),
            after_file=Path(evidence["after_file"]),
            mask_file=Path(evidence["mask_file"]),
            sidecar=evidence["cleaned"],
            release_path=evidence["image"],
            fit=fit_from(evidence["fit"]),
            carry=carry_from(evidence["carry"]),
            atlas_to_image=np.asarray(evidence["atlas_to_image"], float),
            needles=tuple(read_json(evidence["needles_file"])),
            settings=GateSettings(**json.loads(self.inputs.gates_json)),
            ears=self.inputs.ears,
            rebuilt=self.inputs.rebuilt,
            allowed_keys=frozenset(allowed),
            surface_file=Path(evidence["surface_file"]) if "surface_file" in evidence else None,
        )
        return {"findings": [plain(found) for found in run_gates(context)]}


class ExtractFeaturesInputSpec(EvidenceInputSpec):
    """Inputs of `ExtractFeatures`."""

    audit = traits.Str(mandatory=True, desc="quick, full or none")
    recogniser = traits.Str("dlib", usedefault=True, desc="recogniser of faces, if installed")
    seed = traits.Str(mandatory=True, desc="seed of the run")
    output_dir = traits.Str(mandatory=True, desc="OUTPUT of the run")


class ExtractFeatures(EvidenceStep):
    """Keep what the audit compares: of the original, of a simulated second visit, of the release.

    They are biometric and lie in ``private/features``.
    """

    input_spec = ExtractFeaturesInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Extract features of images that will be released and can be attacked."""
        from anonymi_bids.audit.features import FeatureMeta, extract_features, save_features
        from anonymi_bids.audit.portraits import face_features
        from anonymi_bids.audit.recogniser import recogniser_if_any
        from anonymi_bids.audit.simulate import second_visit
        from anonymi_bids.head.atlas import load_atlas

        entities = entities_from(evidence["entities"])
        in_scope = entities.datatype == "anat" or self.inputs.audit == "full"
        if self.inputs.audit == "none" or not in_scope or not _verdict(evidence).passed:
            return {}
        atlas = load_atlas()
        to_image = np.asarray(evidence["atlas_to_image"], float)
        features_dir = Path(self.inputs.output_dir) / "private" / "features"
        seed = seed_for(int(self.inputs.seed), "second visit", evidence["image"])
        original = read_image(evidence["source"])
        second, motion = second_visit(original, to_image, seed)
        views = {
            "original": (original, to_image),
            "second": (second, motion @ to_image),
            "released": (read_image(evidence["after_file"]), to_image),
        }
        recogniser = recogniser_if_any(self.inputs.recogniser)
        all_portraits = self.inputs.audit == "full" and entities.datatype == "anat"
        control_seed = seed_for(int(self.inputs.seed), "control points", "") % 2**32
        for kind, (image, place) in views.items():
            meta = FeatureMeta(
                entities.subject, entities.session or "", entities.suffix, kind, entities.stem
            )
            found: dict[str, Any] = dict(extract_features(image, atlas, place, seed=control_seed))
            if recogniser is not None:
                air = found["air"]
                found |= face_features(image, atlas, place, air, recogniser, full=all_portraits)
            save_features(features_dir, meta, found)
        return {"features": sorted(views)}


class ReleaseImageInputSpec(EvidenceInputSpec):
    """Inputs of `ReleaseImage`."""

    output_dir = traits.Str(mandatory=True, desc="OUTPUT of the run")
    settings_digest = traits.Str(mandatory=True, desc="digest of all settings")
    method = traits.Str(mandatory=True, desc="what was done to the voxels")


class ReleaseImage(EvidenceStep):
    """Admit an image with a passed verdict, withhold any other, and record which."""

    input_spec = ReleaseImageInputSpec

    def _run_interface(self, runtime: Any) -> Any:
        evidence = read_json(self.inputs.evidence_file)
        output = Path(self.inputs.output_dir)
        entities = entities_from(evidence["entities"])
        outcome = {
            "image": evidence["image"],
            "subject": entities.subject,
            "session": entities.session or "",
            "suffix": entities.suffix,
            "method": self.inputs.method,
            "overruled": evidence.get("overruled", {}),
            "by_hand": evidence.get("by_hand", []),
            "input_digest": evidence["input_digest"],
            "settings_digest": self.inputs.settings_digest,
            "reasons": self._admit_or_withhold(evidence, output),
        }
        write_json(outcome_path(output / "private", evidence["image"]), outcome)
        self._results["evidence_file"] = self.inputs.evidence_file
        return runtime

    def _admit_or_withhold(self, evidence: dict[str, Any], output: Path) -> list[str]:
        """Release the image; or take back an older release of it, and say why."""
        from anonymi_bids.bids import writer

        reasons = [evidence["failure"]] if evidence.get("failure") else []
        verdict = _verdict(evidence)
        if not reasons and not verdict.passed:
            reasons = list(verdict.reasons)
        if reasons:
            writer.withdraw(output, evidence["image"])
            _forget_features(output, entities_from(evidence["entities"]).stem)
            _record_withheld(output, evidence, reasons)
            return reasons
        staged = _stage(evidence, output)
        record: dict[str, Any] = {key: evidence[key] for key in KEPT if key in evidence}
        record["settings_digest"] = self.inputs.settings_digest
        writer.release(staged, verdict, output, record)
        shutil.rmtree(writer.incoming_folder(output, evidence["image"]))
        return []


def _verdict(evidence: Mapping[str, Any]) -> Verdict:
    findings = tuple(Finding(**entry) for entry in evidence.get("findings", ()))
    return Verdict(evidence["image"], findings, dict(evidence.get("overruled", {})))


def _forget_features(output: Path, stem: str) -> None:
    """Remove the features of an image that is not in the release: it is not to be attacked."""
    for path in (output / "private" / "features").glob(f"*/{stem}.npz"):
        path.unlink(missing_ok=True)


def _record_withheld(output: Path, evidence: Mapping[str, Any], reasons: list[str]) -> None:
    """Keep the gates' figures of a withheld image too: they tell what it would take."""
    target = output / "private" / "withheld" / f"{evidence['image']}.json"
    kept = ("image", "fit", "carry", "atlas_to_image", "region", "by_hand", "findings")
    write_json(
        target, {key: evidence[key] for key in kept if key in evidence} | {"reasons": reasons}
    )


def _stage(evidence: Mapping[str, Any], output: Path) -> Any:
    """Copy all files of one image beside ``release/``, where moving them is atomic."""
    from anonymi_bids.bids import writer
    from anonymi_bids.bids.entities import defacemask_entities, surface_path

    entities = entities_from(evidence["entities"])
    main = evidence["image"]
    folder = writer.incoming_folder(output, main)
    wanted = {main: evidence["after_file"], **evidence["metadata_files"]}
    mask = defacemask_entities(entities)
    if mask is not None:
        wanted[mask.path] = evidence["mask_file"]
    else:
        kept = output / "private" / "masks" / f"{entities.stem}_defacemask.nii.gz"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(evidence["mask_file"], kept)
    if "surface_file" in evidence:
        wanted[surface_path(entities)] = evidence["surface_file"]
    staged = {}
    with space_errors("the files of an image"):
        for name, source in evidence.get("private_surfaces", {}).items():
            kept = output / "private" / "surfaces" / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, kept)
        for number, (name, source) in enumerate(sorted(wanted.items())):
            staged[name] = folder / f"{number:02d}-{Path(name).name}"
            shutil.copyfile(source, staged[name])
    return writer.StagedImage(main, staged)
