"""The rulers of the benchmark on real scans, on small made-up images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anonymi_bids.io.images import write_image
from benchmarks.real import brains, look, match, table


def test_axes_are_turned_to_right_forward_up() -> None:
    affine = np.array([[0, 0, -4.8, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    data = np.zeros((4, 5, 6))
    data[0, 0, -1] = 1  # most forward (-i), highest (-j), most left (-k)
    turned = brains.to_ras(data, affine)
    assert turned.shape == (6, 4, 5)
    assert turned[0, -1, -1] == 1


def test_brain_loss_is_counted_within_the_mask_only(tmp_path: Path) -> None:
    before = np.full((6, 6, 6), 100, np.int16)
    before[0, 0, 0] = 1100  # intensity range 1000
    after = before.copy()
    after[1, 1, 1] = 101  # in the brain, not noticeable
    after[2, 2, 2] = 0  # in the brain
    after[5, 5, 5] = 0  # elsewhere
    brain = np.zeros(before.shape, bool)
    brain[1:4, 1:4, 1:4] = True
    affine = np.diag([2.0, 1, 1, 1])
    for name, data in (("a", before), ("b", after)):
        write_image(tmp_path / f"{name}.nii.gz", data, affine)
    figures = brains.brain_figures(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", brain)
    assert figures["brain_changed_voxels"] == 2
    assert figures["brain_changed_mm3"] == pytest.approx(4)
    assert figures["brain_noticed_mm3"] == pytest.approx(2)


def head(tmp_path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    grid = np.indices((60, 70, 90)).astype(float) - np.array([[[[30]]], [[[35]]], [[[45]]]])
    apart = np.sqrt((grid[0] / 24) ** 2 + (grid[1] / 30) ** 2 + (grid[2] / 40) ** 2)
    data = np.where(apart < 1, 1000, 0) + rng.integers(0, 20, apart.shape)
    centre = np.sqrt(grid[0] ** 2 + grid[1] ** 2 + (grid[2] - 20) ** 2)
    return data.astype(np.int16), centre < 15, np.diag([2.5, 2.5, 2.5, 1])


def test_front_skin_is_left_or_gone(tmp_path: Path) -> None:
    data, brain, affine = head(tmp_path)
    shaved = data.copy()
    shaved[:, 33:, :] = -1
    half = data.copy()
    half[:, 33:, :50] = -1
    for name, values in (("a", data), ("b", shaved), ("c", half)):
        write_image(tmp_path / f"{name}.nii.gz", values, affine)
    source = tmp_path / "a.nii.gz"
    assert brains.front_skin(source, source, brain)["skin_left_percent"] == 100
    assert brains.front_skin(source, tmp_path / "b.nii.gz", brain)["skin_left_percent"] == 0
    thirds = brains.front_skin(source, tmp_path / "c.nii.gz", brain)["skin_left_thirds"]
    assert thirds[0] > 0
    assert thirds[1] == thirds[2] == 0


def test_a_release_is_paired_with_its_own_original(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(1, 1000, (2, 8, 8, 8)).astype(np.int16)
    release = tmp_path / "release" / "sub-x" / "anat"
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[:, 6:] = 1
    for name, data in (("1", first), ("2", second)):
        write_image(tmp_path / f"{name}.nii.gz", data, np.eye(4))
    write_image(
        release / "sub-x_T1w.nii.gz", np.where(mask, 0, second).astype(np.int16), np.eye(4)
    )
    write_image(release / "sub-x_mod-T1w_defacemask.nii.gz", mask, np.eye(4))
    originals = {name: tmp_path / f"{name}.nii.gz" for name in ("1", "2")}
    pairs, unmatched = match.pair_up(tmp_path / "release", originals)
    assert [pair.original for pair in pairs] == ["2"]
    assert unmatched == []
    damaged = np.where(mask, 0, second).astype(np.int16)
    damaged[:4, 0, 0] += 1
    write_image(release / "sub-x_T1w.nii.gz", damaged, np.eye(4))
    assert match.pair_up(tmp_path / "release", originals)[1] == ["sub-x/anat/sub-x_T1w.nii.gz"]


def test_pictures_never_go_into_the_repository(tmp_path: Path) -> None:
    inside = Path(look.__file__).parent / "picture.png"
    with pytest.raises(ValueError, match="repository"):
        look.picture(tmp_path / "absent.nii.gz", None, "title", inside)
    assert not inside.exists()


def test_yield_counts_faces_not_files() -> None:
    run = {
        "scenario": "one",
        "known": [{"face": "whole", "released": True}, {"face": "part", "released": False}],
        "released": [{"brain_changed_voxels": 3}],
        "traceback": False,
        "validator": {"ran": True, "errors": {"X": 2}},
    }
    part = table.totals([run])["one by one"]
    assert (part["released"], part["heads_with_a_face"]) == (1, 2)
    assert (part["whole_faces_released"], part["whole_faces"]) == (1, 1)
    assert part["brain_changed_voxels"] == 3
    assert part["validator_errors"] == 2
