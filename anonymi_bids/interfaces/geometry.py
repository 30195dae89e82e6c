"""Nipype wrapper: surfaces and fiducials of a session's reference image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.errors import ImageError
from anonymi_bids.interfaces.base import EvidenceInputSpec, EvidenceStep, traits
from anonymi_bids.io.images import read_image
from anonymi_bids.io.records import entities_from
from anonymi_bids.io.surfaces import write_surface
from anonymi_bids.model import Surface


class HeadGeometryInputSpec(EvidenceInputSpec):
    """Inputs of `HeadGeometry`."""

    surfaces = traits.Bool(False, usedefault=True, desc="draw skin and skull")
    fiducials = traits.Bool(False, usedefault=True, desc="find nasion and preauricular points")


class HeadGeometry(EvidenceStep):
    """Draw surfaces and find fiducials on the one structural image of a session that has them.

    The surface for the release is drawn from the de-identified image and nothing else.
    """

    input_spec = HeadGeometryInputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Add ``surface_file``, ``private_surfaces``, ``landmarks`` and ``geometry``."""
        wanted = self.inputs.surfaces or self.inputs.fiducials
        structural = entities_from(evidence["entities"]).datatype == "anat"
        if not (wanted and structural and evidence.get("is_reference")):
            return {}
        added: dict[str, Any] = {"geometry": {}}
        if self.inputs.surfaces:
            try:
                added |= _surfaces(evidence, folder, added["geometry"])
            except ImageError as error:
                added["geometry"]["surfaces"] = str(error)
        if self.inputs.fiducials:
            added |= _fiducials(evidence, added["geometry"])
        return added


def _surfaces(evidence: dict[str, Any], folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    from anonymi_bids.bids.entities import DERIVATIVES, surface_path
    from anonymi_bids.core.mask import air_threshold
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.geometry import skin_surface
    from anonymi_bids.head.network import load_model
    from anonymi_bids.head.skull import skull_of_scan

    entities = entities_from(evidence["entities"])
    released = folder / "released.surf.gii"
    after = read_image(evidence["after_file"])
    told["released_scalp"] = _written(released, skin_surface(after))
    image = read_image(evidence["source"])
    place = np.asarray(evidence["atlas_to_image"], float)
    skull, told["outerskull_from"] = skull_of_scan(image, load_atlas(), place, load_model())
    # One threshold for both, or the whole scalp would differ by a part of a voxel.
    limit = air_threshold(after.data)
    private = {"scalp": skin_surface(image, threshold=limit), "outerskull": skull}
    files = {}
    for what, surface in private.items():
        path = folder / f"{what}.surf.gii"
        told[f"original_{what}"] = _written(path, surface)
        files[surface_path(entities, what).removeprefix(f"{DERIVATIVES}/")] = os.fspath(path)
    return {"surface_file": os.fspath(released), "private_surfaces": files}


def _written(path: Path, surface: Surface) -> dict[str, float]:
    from anonymi_bids.core.isosurface import describe

    write_surface(path, surface)
    figures = describe(surface.vertices, surface.triangles)
    return {name: round(float(value), 3) for name, value in figures.items()}


def _fiducials(evidence: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    from anonymi_bids.core.grid import apply_affine
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.geometry import FIDUCIALS, find_fiducials

    image = read_image(evidence["source"])
    to_image = np.asarray(evidence["atlas_to_image"], float)
    found = find_fiducials(image, load_atlas(), to_image)
    missing = [name for name in FIDUCIALS if name not in found]
    if missing:
        told["fiducials"] = f"Not found on the skin: {', '.join(missing)}; none is written."
        return {}
    to_voxel = np.asarray(np.linalg.inv(image.affine), np.float64)
    voxels = {
        name: apply_affine(to_voxel, point).round(2).tolist() for name, point in found.items()
    }
    return {"landmarks": voxels}
