from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from anonymi_bids.core.isosurface import closed_surface
from anonymi_bids.errors import ImageError
from anonymi_bids.io.surfaces import read_surface, surface_text, write_surface
from anonymi_bids.model import Surface


@pytest.fixture(scope="module")
def surface() -> Surface:
    ball = ((np.indices((16, 16, 16)) - 7.5) ** 2).sum(axis=0) < 30
    affine = np.diag([-1.5, 1.5, 2.0, 1.0])
    affine[:3, 3] = (40, -120, 77)
    return Surface(*closed_surface(ball, affine, spacing_mm=2.0))


def test_surface_comes_back_in_scanner_mm(tmp_path: Path, surface: Surface) -> None:
    path = tmp_path / "a.surf.gii"
    write_surface(path, surface)
    back = read_surface(path)
    np.testing.assert_allclose(back.vertices, surface.vertices, atol=2e-5)
    np.testing.assert_array_equal(back.triangles, surface.triangles)


def test_nibabel_reads_it_and_is_told_the_space(tmp_path: Path, surface: Surface) -> None:
    path = tmp_path / "a.surf.gii"
    write_surface(path, surface)
    content = nib.load(path)
    vertices, triangles = content.agg_data(("pointset", "triangle"))
    assert vertices.dtype == np.float32
    assert triangles.dtype == np.int32
    space = content.darrays[0].coordsys
    assert space.dataspace == nib.nifti1.xform_codes["NIFTI_XFORM_SCANNER_ANAT"]
    np.testing.assert_array_equal(space.xform, np.eye(4))


def test_same_surface_same_bytes_and_no_words_of_anyone(tmp_path: Path, surface: Surface) -> None:
    for name in ("a", "b"):
        write_surface(tmp_path / f"{name}.surf.gii", surface)
    assert (tmp_path / "a.surf.gii").read_bytes() == (tmp_path / "b.surf.gii").read_bytes()
    text = surface_text(tmp_path / "a.surf.gii")
    assert len(text) < 4000
    assert "SCANNER_ANAT" in text
    for word in ("Date", "User", str(tmp_path)):
        assert word not in text


def test_other_spaces_and_other_files_are_refused(tmp_path: Path, surface: Surface) -> None:
    path = tmp_path / "a.surf.gii"
    write_surface(path, surface)
    text = path.read_bytes().replace(b"NIFTI_XFORM_SCANNER_ANAT", b"NIFTI_XFORM_TALAIRACH")
    (tmp_path / "b.surf.gii").write_bytes(text)
    (tmp_path / "c.surf.gii").write_text("no surface")
    for name in ("b", "c", "not_there"):
        with pytest.raises(ImageError):
            read_surface(tmp_path / f"{name}.surf.gii")
