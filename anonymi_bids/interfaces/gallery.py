"""Nipype wrapper: make a second dataset ready to be compared with the release."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, SimpleInterface, TraitedSpec, traits

from anonymi_bids.core.pseudonym import seed_for
from anonymi_bids.errors import ImageError, InputError
from anonymi_bids.io.atomic import write_json
from anonymi_bids.io.images import read_image, sha256_of
from anonymi_bids.io.records import read_json

SOURCES = "sources.json"
"""Which images were read, so that a second run reads only what is new."""


class PrepareGalleryInputSpec(BaseInterfaceInputSpec):
    """Inputs of `PrepareGallery`."""

    gallery = traits.Str("", usedefault=True, desc="second dataset; empty for none")
    output_dir = traits.Str(mandatory=True, desc="OUTPUT of the run")
    seed = traits.Str(mandatory=True, desc="seed of the run")
    min_confidence = traits.Float(mandatory=True, desc="below it a head counts as not found")


class PrepareGalleryOutputSpec(TraitedSpec):
    """Outputs of `PrepareGallery`."""

    features_dir = traits.Str(desc="features of the second dataset; empty for none")
    unusable = traits.Int(desc="images of which no features could be made")


class PrepareGallery(SimpleInterface):
    """Find the features of a second dataset, or make them from its images.

    The other dataset is only read: what is made lies in this run's ``private/gallery``.
    """

    input_spec = PrepareGalleryInputSpec
    output_spec = PrepareGalleryOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from anonymi_bids.audit.features import find_features

        self._results |= {"features_dir": "", "unusable": 0}
        if self.inputs.gallery:
            source = Path(self.inputs.gallery)
            kept = find_features(source)
            if kept is None:
                kept, self._results["unusable"] = self._make_features(source)
            self._results["features_dir"] = os.fspath(kept)
        return runtime

    def _make_features(self, source: Path) -> tuple[Path, int]:
        """Features of the anatomical images of a BIDS dataset; images without a usable head."""
        from anonymi_bids.audit.features import feature_path

        name = hashlib.sha256(os.fspath(source).encode()).hexdigest()[:16]
        folder = Path(self.inputs.output_dir) / "private" / "gallery" / name
        record = folder / SOURCES
        earlier = read_json(record) if record.is_file() else {}
        known: dict[str, Any] = {}
        for image in _anatomical_images(source):
            stem, digest = image.entities.stem, sha256_of(image.source)
            before = earlier.get(stem, {})
            there = feature_path(folder, "original", stem).is_file() or not before.get("usable")
            if before.get("sha256") == digest and there:
                known[stem] = before
            else:
                known[stem] = {"sha256": digest, "usable": self._extract(image, folder)}
            write_json(record, earlier | known)
        for path in (folder / "original").glob("*.npz"):
            if not known.get(path.stem, {}).get("usable"):
                path.unlink()
        write_json(record, known)
        return folder, sum(not entry["usable"] for entry in known.values())

    def _extract(self, image: Any, folder: Path) -> bool:
        """Keep the features of one image; False if it shows no head."""
        from anonymi_bids.audit.features import FeatureMeta, extract_features, save_features
        from anonymi_bids.head.atlas import load_atlas
        from anonymi_bids.head.find import find_head_checked
        from anonymi_bids.head.network import load_model

        seed = int(self.inputs.seed)
        atlas = load_atlas()
        try:
            data = read_image(image.source)
            fit = find_head_checked(
                data, atlas, load_model(), seed=seed_for(seed, "registration", "") % 2**31
            )
        except ImageError:
            return False
        if fit.status == "no_head" or fit.confidence < self.inputs.min_confidence:
            return False
        found = extract_features(
            data, atlas, fit.atlas_to_image, seed=seed_for(seed, "control points", "") % 2**32
        )
        entities = image.entities
        meta = FeatureMeta(
            entities.subject, entities.session or "", entities.suffix, "original", entities.stem
        )
        save_features(folder, meta, found)
        return True


def _anatomical_images(source: Path) -> list[Any]:
    """List the anatomical images of a BIDS dataset."""
    from anonymi_bids.bids.index import index_dataset

    try:
        plan = index_dataset(source)
    except InputError as error:
        raise InputError(
            "What --gallery names is neither a BIDS dataset nor the features of an earlier run; "
            "give a folder with sub-<label> folders, or OUTPUT/private/features of that run."
        ) from error
    return [
        image
        for session in plan.sessions
        for image in session.images
        if image.entities.datatype == "anat"
    ]
