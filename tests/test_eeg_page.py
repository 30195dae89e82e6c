"""The snippets of docs/eeg.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from anonymi_bids.bids.entities import parse_path, surface_path
from anonymi_bids.core.grid import apply_affine
from anonymi_bids.head.geometry import FIDUCIALS, skin_surface
from anonymi_bids.io.atomic import write_json
from anonymi_bids.io.images import write_image
from anonymi_bids.io.surfaces import write_surface
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom

PAGE = Path(__file__).resolve().parents[1] / "docs" / "eeg.md"
IMAGE = "sub-01/anat/sub-01_T1w.nii.gz"


@pytest.fixture(scope="module")
def head() -> Phantom:
    return quick_head(4.0, "T1w", 1)


@pytest.fixture(scope="module")
def release(head: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a release by their names and forms; the page only reads."""
    root = tmp_path_factory.mktemp("release")
    (root / IMAGE).parent.mkdir(parents=True)
    write_image(root / IMAGE, np.rint(head.image.data).astype(np.int16), head.image.affine)
    entities = parse_path(IMAGE)
    assert entities is not None
    write_surface(root / surface_path(entities), skin_surface(head.image))
    to_voxel = np.linalg.inv(head.image.affine)
    marks = {
        name: apply_affine(to_voxel, getattr(head, mark)).round(2).tolist()
        for name, mark in FIDUCIALS.items()
    }
    write_json(root / "sub-01/anat/sub-01_T1w.json", {"AnatomicalLandmarkCoordinates": marks})
    return root


def snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def run(names: dict[str, Any], *numbers: int) -> dict[str, Any]:
    for number in numbers:
        exec(compile(snippets()[number], f"{PAGE.name}:{number}", "exec"), names)  # noqa: S102
    return names


def test_nibabel_reads_skin_and_fiducials_in_one_frame(release: Path, head: Phantom) -> None:
    found = run({"release": release}, 0)
    for name, mark in FIDUCIALS.items():
        assert np.linalg.norm(found["fiducials_mm"][name] - getattr(head, mark)) < 0.1
        apart = np.linalg.norm(found["scalp_mm"] - found["fiducials_mm"][name], axis=1)
        assert apart.min() < 5.0


def test_mne_places_the_head_and_takes_the_surface(release: Path, tmp_path: Path) -> None:
    mne = pytest.importorskip("mne")
    found = run({"release": release, "folder": tmp_path}, 0, 1)
    nasion = mne.transforms.apply_trans(found["scan_to_head"], found["points"]["NAS"])
    left = mne.transforms.apply_trans(found["scan_to_head"], found["points"]["LPA"])
    assert abs(nasion[0]) < 1e-6 < nasion[1]
    assert abs(left[1]) < 1e-6
    assert left[0] < 0
    vertices, triangles = mne.read_surface(tmp_path / "outer_skin.surf")
    np.testing.assert_allclose(vertices, found["scalp_mm"], atol=1e-3)
    np.testing.assert_array_equal(triangles, found["triangles"])
    assert found["head_to_scan"]["from"] == mne.io.constants.FIFF.FIFFV_COORD_HEAD


def test_freesurfer_frame_is_that_of_the_conformed_image(release: Path, tmp_path: Path) -> None:
    (tmp_path / "mri").mkdir()
    affine = np.array([[-1.0, 0, 0, 130], [0, 0, 1, -120], [0, -1, 0, 140], [0, 0, 0, 1]])
    conformed = nib.MGHImage(np.zeros((256, 256, 256), np.uint8), affine)
    conformed.to_filename(tmp_path / "mri" / "T1.mgz")
    found = run({"release": release, "subject_folder": tmp_path}, 0, 2)
    voxels = nib.affines.apply_affine(np.linalg.inv(affine), found["scalp_mm"])
    expected = np.column_stack([128 - voxels[:, 0], voxels[:, 2] - 128, 128 - voxels[:, 1]])
    np.testing.assert_allclose(found["scalp_surface_ras"], expected, atol=1e-3)


def test_page_has_the_snippets_that_are_run() -> None:
    assert len(snippets()) == 3
