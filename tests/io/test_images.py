"""Stored voxels stay as they are; damaged files get a sentence; headers keep no text."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from anonymi_bids.errors import UnreadableImage, UnusableAffine
from anonymi_bids.io.images import (
    clean_header,
    iter_volumes,
    mean_volume,
    open_scan,
    read_image,
    write_image,
    write_volumes,
)


def nifti(path, data, *, affine=None, kind=nib.Nifti1Image):
    image = kind(data, np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine)
    image.header.set_sform(image.affine, code=1)
    image.to_filename(path)
    return path


@pytest.mark.parametrize("dtype", ["int16", "uint8", "uint16", "float32", "float64", ">i2"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 4)])
def test_raw_volumes_survive_a_round_trip(tmp_path, rng, dtype, shape):
    data = rng.integers(0, 200, shape).astype(dtype)
    scan = open_scan(nifti(tmp_path / "a.nii.gz", data))
    write_volumes(tmp_path / "b.nii.gz", clean_header(scan.header), scan.dtype, iter_volumes(scan))
    again = nib.load(tmp_path / "b.nii.gz")
    assert again.shape == shape
    np.testing.assert_array_equal(np.asarray(again.dataobj), data)
    np.testing.assert_array_equal(again.affine, scan.affine)


def test_scaling_is_kept_and_applied(tmp_path, rng):
    path = nifti(tmp_path / "a.nii", rng.integers(0, 99, (4, 4, 4)).astype(np.int16))
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.5, 10], "<f4").tobytes()
    path.write_bytes(content)
    scan = open_scan(tmp_path / "a.nii")
    assert scan.slope_inter == (0.5, 10)
    raw = next(iter_volumes(scan))
    np.testing.assert_allclose(read_image(scan.path).data, raw * 0.5 + 10)
    assert float(clean_header(scan.header)["scl_slope"]) == 0.5


def test_mean_of_a_series(tmp_path, rng):
    data = rng.normal(size=(3, 4, 5, 6)).astype(np.float32)
    scan = open_scan(nifti(tmp_path / "a.nii.gz", data))
    np.testing.assert_allclose(mean_volume(scan), data.mean(axis=3), rtol=1e-4, atol=1e-5)


def test_no_text_survives_in_the_header(tmp_path):
    image = nib.Nifti1Image(np.zeros((3, 3, 3), np.int16), np.eye(4))
    image.header["descrip"] = b"DOE^JANE"
    image.header["aux_file"] = b"DOE"
    image.header["intent_name"] = b"DOE"
    image.header["db_name"] = b"DOE"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"DOE^JANE"))
    image.header.set_sform(np.eye(4), code=1)
    image.to_filename(tmp_path / "a.nii.gz")
    scan = open_scan(tmp_path / "a.nii.gz")
    write_volumes(tmp_path / "b.nii.gz", clean_header(scan.header), scan.dtype, iter_volumes(scan))
    packed = (tmp_path / "b.nii.gz").read_bytes()
    assert packed[3] == 0, "no name, no comment in the gzip header"
    assert packed[4:8] == bytes(4), "no time in the gzip header"
    plain = gzip.decompress(packed)
    assert b"DOE" not in plain
    assert len(plain) == 352 + 27 * 2


def test_same_content_gives_same_bytes(tmp_path, rng):
    data = rng.normal(size=(5, 5, 5)).astype(np.float32)
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.nii.gz", data, np.eye(4))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncated_files_get_a_sentence(tmp_path, rng, name):
    path = nifti(tmp_path / name, rng.normal(size=(20, 20, 20)).astype(np.float32))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UnreadableImage, match="ends early"):
        list(iter_volumes(open_scan(path)))


def test_text_that_calls_itself_nifti_gets_a_sentence(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"no image at all")
    with pytest.raises(UnreadableImage, match="not a readable NIfTI"):
        open_scan(tmp_path / "a.nii.gz")


def test_a_header_that_lies_about_its_size_takes_no_memory(tmp_path):
    path = nifti(tmp_path / "a.nii", np.zeros((3, 3, 3), np.int16))
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([32000, 32000, 32000], "<i2").tobytes()
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match="plausible size"):
        open_scan(path)


@pytest.mark.parametrize("fault", ["no code", "zero axis", "nan", "parallel"])
def test_images_without_a_place_in_space_are_refused(tmp_path, fault):
    affine = np.eye(4)
    if fault == "zero axis":
        affine[0, 0] = 0
    if fault == "nan":
        affine[0, 3] = np.nan
    if fault == "parallel":
        affine[:3, 1] = affine[:3, 0] + (0, 0.01, 0)
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((3, 3, 3))
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        header[name] = affine[row]
    header["sform_code"] = 0 if fault == "no code" else 1
    header["vox_offset"] = 352
    (tmp_path / "a.nii").write_bytes(header.binaryblock + bytes(4 + 54))
    with pytest.raises(UnusableAffine, match="convert"):
        open_scan(tmp_path / "a.nii")


def test_colour_images_are_refused(tmp_path):
    colours = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(colours, np.eye(4)).to_filename(tmp_path / "a.nii")
    with pytest.raises(UnreadableImage, match="colours"):
        open_scan(tmp_path / "a.nii")
