"""Writing an image without a region."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from anonymi_bids.deface.apply import deface_scan
from anonymi_bids.deface.mask import DefaceRegion
from anonymi_bids.io.images import iter_volumes, open_scan, read_mask, sha256_of

SHAPE = (20, 18, 16)


def region() -> DefaceRegion:
    removed = np.zeros(SHAPE, bool)
    removed[5:12, 9:, 4:10] = True
    air = np.zeros(SHAPE, bool)
    air[:3] = True
    return DefaceRegion(removed, np.zeros(SHAPE, bool), air)


def series(path: Path, n_volumes: int, dtype: str = "<i2") -> np.ndarray:
    rng = np.random.default_rng(n_volumes)
    shape = SHAPE if n_volumes == 1 else (*SHAPE, n_volumes)
    data = rng.integers(200, 900, shape).astype(dtype)
    data[:3] = rng.integers(1, 30, data[:3].shape)
    image = nib.Nifti1Image(data, np.diag([2.0, 2, 3, 1]))
    image.header.set_data_dtype(data.dtype)
    image.header["descrip"] = b"somebody"
    image.header.set_slope_inter(0.37, -5)
    image.to_filename(path)
    return data


@pytest.mark.parametrize("n_volumes", [1, 5])
@pytest.mark.parametrize("dtype", ["<i2", "<u1", "<f4", "<f8"])
def test_every_volume_changes_inside_and_nowhere_else(
    tmp_path: Path, n_volumes: int, dtype: str
) -> None:
    before, after, mask = (tmp_path / name for name in ("b.nii.gz", "a.nii.gz", "m.nii.gz"))
    series(before, n_volumes, dtype)
    deface_scan(before, after, mask, region(), seed=3)
    old, new = open_scan(before), open_scan(after)
    assert new.shape == old.shape
    assert new.dtype == old.dtype
    assert new.slope_inter == old.slope_inter
    np.testing.assert_array_equal(new.affine, old.affine)
    removed = region().removed
    fills = []
    for first, second in zip(iter_volumes(old), iter_volumes(new), strict=True):
        np.testing.assert_array_equal(first[~removed], second[~removed])
        assert second[removed].max() <= first[:3].max()
        fills.append(second[removed])
    assert all((fills[0] != fill).any() for fill in fills[1:])
    np.testing.assert_array_equal(read_mask(mask), removed)
    assert nib.load(mask).get_data_dtype() == np.uint8
    assert bytes(new.header["descrip"].tobytes()).strip(b"\0") == b""


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    before = tmp_path / "b.nii.gz"
    series(before, 3)
    digests = []
    for name, seed in (("1", 4), ("2", 4), ("3", 5)):
        after, mask = tmp_path / f"a{name}.nii.gz", tmp_path / f"m{name}.nii.gz"
        deface_scan(before, after, mask, region(), seed=seed)
        digests.append((sha256_of(after), sha256_of(mask)))
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]


def test_memory_does_not_grow_with_the_number_of_volumes(tmp_path: Path) -> None:
    peaks = []
    for n_volumes in (4, 60):
        before = tmp_path / f"b{n_volumes}.nii"
        series(before, n_volumes)
        tracemalloc.start()
        deface_scan(before, tmp_path / "a.nii", tmp_path / "m.nii", region(), seed=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_region_of_another_grid_is_refused(tmp_path: Path) -> None:
    before = tmp_path / "b.nii.gz"
    series(before, 1)
    small = np.zeros((3, 3, 3), bool)
    with pytest.raises(ValueError, match="shape"):
        deface_scan(
            before,
            tmp_path / "a.nii.gz",
            tmp_path / "m.nii.gz",
            DefaceRegion(small, small, small),
            seed=0,
        )
    assert not (tmp_path / "a.nii.gz").exists()
