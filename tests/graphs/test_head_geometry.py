"""The step that draws surfaces and finds fiducials: what it writes, for whom, and from what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.shape import similarity
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.interfaces.geometry import HeadGeometry
from anonymi_bids.io.images import write_image
from anonymi_bids.io.records import plain, read_json, write_record
from anonymi_bids.io.surfaces import read_surface
from anonymi_bids.model import Entities
from anonymi_bids.phantoms.quick import quick_head

T1W = Entities("01", None, "anat", "T1w", ".nii.gz", (("acq", "x"),))
NAMES = ("nasion", "lpa", "rpa", "chin")


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A head, and the same cut off in front as if it had been de-identified."""
    folder = tmp_path_factory.mktemp("scan")
    head = quick_head(3.0, "T1w", 1)
    target = [head.nasion, head.lpa, head.rpa, head.landmarks68[8]]
    source = np.stack([load_atlas().landmarks[name] for name in NAMES])
    data = np.rint(head.image.data).astype(np.int16)
    write_image(folder / "before.nii.gz", data, head.image.affine)
    front = np.indices(data.shape)[1] * 3.0 + head.image.affine[1, 3] > head.nasion[1] - 15
    write_image(folder / "after.nii.gz", np.where(front, 0, data), head.image.affine)
    return {
        "image": T1W.path,
        "entities": plain(T1W),
        "source": os.fspath(folder / "before.nii.gz"),
        "after_file": os.fspath(folder / "after.nii.gz"),
        "atlas_to_image": similarity(source, np.stack(target)).tolist(),
        "is_reference": True,
        "nasion_y": float(head.nasion[1]),
        "affine": head.image.affine.tolist(),
        "marks": [head.nasion.tolist(), head.lpa.tolist(), head.rpa.tolist()],
    }


def run(evidence: dict[str, Any], folder: Path, choices: dict[str, bool]) -> dict[str, Any]:
    start = folder / "start.json"
    write_record(start, evidence)
    done = HeadGeometry(evidence_file=os.fspath(start), **choices).run(cwd=os.fspath(folder))
    return dict(read_json(done.outputs.evidence_file))


def test_surface_for_the_release_comes_from_the_changed_image(
    evidence: dict[str, Any], tmp_path: Path
) -> None:
    found = run(evidence, tmp_path, {"surfaces": True})
    front = evidence["nasion_y"] - 15
    released = read_surface(found["surface_file"])
    private = {Path(name).name: path for name, path in found["private_surfaces"].items()}
    assert set(private) == {
        "sub-01_acq-x_mod-T1w_scalp.surf.gii",
        "sub-01_acq-x_mod-T1w_outerskull.surf.gii",
    }
    original = read_surface(private["sub-01_acq-x_mod-T1w_scalp.surf.gii"])
    assert released.vertices[:, 1].max() < front + 3
    assert original.vertices[:, 1].max() > front + 15
    assert found["geometry"]["released_scalp"]["genus"] == 0
    assert "landmarks" not in found


def test_fiducials_are_voxels_of_the_original(evidence: dict[str, Any], tmp_path: Path) -> None:
    found = run(evidence, tmp_path, {"fiducials": True})
    assert "surface_file" not in found
    assert set(found["landmarks"]) == {"NAS", "LPA", "RPA"}
    places = np.array([found["landmarks"][name] for name in ("NAS", "LPA", "RPA")])
    apart = apply_affine(np.array(evidence["affine"]), places) - np.array(evidence["marks"])
    assert np.linalg.norm(apart, axis=1).max() < 10  # voxels are 3 mm wide


@pytest.mark.parametrize(
    "change",
    [{"is_reference": False}, {"entities": plain(Entities("01", None, "func", "bold", ".nii"))}],
)
def test_only_the_structural_reference_has_geometry(
    evidence: dict[str, Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    both = {"surfaces": True, "fiducials": True}
    assert "geometry" not in run(evidence | change, tmp_path, both)


def test_nothing_is_drawn_unless_asked_for(evidence: dict[str, Any], tmp_path: Path) -> None:
    assert "geometry" not in run(evidence, tmp_path, {})
