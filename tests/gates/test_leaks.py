"""Every gate turns red for the leak it is there for, and only the clean image passes all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.gates import (
    all_volumes,
    brain_untouched,
    carry_agrees,
    ears_gone,
    face_gone,
    grid_unchanged,
    head_found,
    outside_identical,
    run_gates,
)
from anonymi_bids.io.images import iter_volumes, open_scan, read_mask, write_image
from anonymi_bids.model import REQUIRED_GATES, Carry, Verdict
from tests.gates.conftest import Made, rewrite


def raw(path: Path) -> np.ndarray:
    return next(iter_volumes(open_scan(path)))


def restored(made: Made, target: Path, where: np.ndarray) -> Path:
    """The de-identified image with the original's voxels put back somewhere."""
    old = raw(made.before)
    return rewrite(made.after, target, lambda _, new: np.where(where, old, new))


def coordinates(made: Made) -> np.ndarray:
    """Image mm of every voxel, (I, J, K, 3)."""
    shape = made.phantom.image.data.shape
    return apply_affine(made.phantom.image.affine, np.indices(shape).transpose(1, 2, 3, 0))


@pytest.mark.parametrize("name", ["made", "made_t2w"])
def test_a_clean_image_passes_every_gate(name: str, request: pytest.FixtureRequest) -> None:
    findings = run_gates(request.getfixturevalue(name).context())
    assert [finding.gate for finding in findings] == list(REQUIRED_GATES)
    assert [f.sentence for f in findings if f.status != "passed"] == []
    assert Verdict("sub-01/anat/sub-01_T1w.nii.gz", findings).passed


def test_face_left(made: Made, tmp_path: Path) -> None:
    everything = np.ones(made.region.removed.shape, bool)
    after = restored(made, tmp_path / "a.nii.gz", everything)
    found = face_gone.check(made.context(after_file=after))
    assert found.status == "failed"
    assert found.figure == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("landmarks", "radius"),
    [((36, 41), 20), ((42, 47), 20), ((30, 30), 20), ((62, 66), 25), ((8, 8), 25)],
    ids=["left eye", "right eye", "nose", "mouth", "chin"],
)
def test_part_of_a_face_left(
    made: Made, tmp_path: Path, landmarks: tuple[int, int], radius: float
) -> None:
    """One feature put back is a few percent of the skin only, but lies in one piece."""
    centre = made.phantom.landmarks68[landmarks[0] : landmarks[1] + 1].mean(axis=0)
    near = np.linalg.norm(coordinates(made) - centre, axis=-1) < radius
    after = restored(made, tmp_path / "a.nii.gz", near)
    assert face_gone.check(made.context(after_file=after)).status == "failed"


def test_a_face_in_other_noise_is_still_a_face(made: Made, tmp_path: Path) -> None:
    """Every voxel differs, but the surface is where it was."""
    old = raw(made.before)
    noise = np.random.default_rng(0).integers(1, 12, old.shape).astype(old.dtype)
    after = rewrite(
        made.after,
        tmp_path / "a.nii.gz",
        lambda _, new: np.where(made.region.removed, old + noise, new),
    )
    context = made.context(after_file=after)
    assert all_volumes.check(context).status == "passed"
    assert face_gone.check(context).status == "failed"


def test_second_contrast_left_with_its_face(made_t2w: Made, tmp_path: Path) -> None:
    """The T1w is done; the T2w beside it is passed on as it was, with an empty mask."""
    mask = tmp_path / "m.nii.gz"
    shape = made_t2w.region.removed.shape
    write_image(mask, np.zeros(shape, np.uint8), made_t2w.phantom.image.affine)
    after = restored(made_t2w, tmp_path / "a.nii.gz", np.ones(shape, bool))
    findings = {f.gate: f for f in run_gates(made_t2w.context(after_file=after, mask_file=mask))}
    assert findings["outside_identical"].status == "passed"
    assert findings["face_gone"].status == "failed"
    assert findings["ears_gone"].status == "failed"


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_ear_left(made: Made, tmp_path: Path, side: str) -> None:
    point = made.phantom.lpa if side == "left" else made.phantom.rpa
    near = np.linalg.norm(coordinates(made) - point - (0, -15, 0), axis=-1) < 45
    context = made.context(after_file=restored(made, tmp_path / "a.nii.gz", near))
    found = ears_gone.check(context)
    assert found.status == "failed"
    assert side in found.sentence


def test_ears_are_not_asked_for_if_the_policy_leaves_them(made: Made, tmp_path: Path) -> None:
    after = restored(made, tmp_path / "a.nii.gz", np.ones(made.region.removed.shape, bool))
    assert ears_gone.check(made.context(after_file=after, ears=False)).status == "passed"


def series(
    made: Made, folder: Path, *, skipped: int | None, lost: bool = False
) -> tuple[Path, Path]:
    """Four volumes before and after; one may be left as it was, one may be lost."""
    old, new = raw(made.before), raw(made.after)
    rng = np.random.default_rng(0)
    olds = [(old + rng.integers(0, 3, old.shape)).astype(old.dtype) for _ in range(4)]
    news = [np.where(made.region.removed, new, volume) for volume in olds]
    if skipped is not None:
        news[skipped] = olds[skipped]
    if lost:
        news = news[:3]
    affine = made.phantom.image.affine
    before, after = folder / "b.nii.gz", folder / "a.nii.gz"
    write_image(before, np.stack(olds, axis=3), affine)
    write_image(after, np.stack(news, axis=3), affine)
    return before, after


def test_series_with_all_volumes_done(made_t2w: Made, tmp_path: Path) -> None:
    before, after = series(made_t2w, tmp_path, skipped=None)
    context = made_t2w.context(before_file=before, after_file=after)
    assert all_volumes.check(context).status == "passed"
    assert outside_identical.check(context).status == "passed"


@pytest.mark.parametrize("skipped", [0, 2, 3])
def test_one_volume_skipped(made_t2w: Made, tmp_path: Path, skipped: int) -> None:
    before, after = series(made_t2w, tmp_path, skipped=skipped)
    found = all_volumes.check(made_t2w.context(before_file=before, after_file=after))
    assert found.status == "failed"
    assert f"number {skipped}" in found.sentence


def test_one_volume_lost(made_t2w: Made, tmp_path: Path) -> None:
    before, after = series(made_t2w, tmp_path, skipped=None, lost=True)
    found = all_volumes.check(made_t2w.context(before_file=before, after_file=after))
    assert found.status == "failed"


def test_one_brain_voxel_changed(made: Made, tmp_path: Path) -> None:
    middle = np.argwhere(made.phantom.brain).mean(axis=0).astype(int)
    spot = np.zeros(made.region.removed.shape, bool)
    spot[tuple(middle)] = True
    after = rewrite(made.after, tmp_path / "a.nii.gz", lambda _, v: np.where(spot, v + 1, v))
    mask = tmp_path / "m.nii.gz"
    write_image(mask, (made.region.removed | spot).astype(np.uint8), made.phantom.image.affine)
    context = made.context(after_file=after, mask_file=mask)
    assert outside_identical.check(context).status == "passed"
    found = brain_untouched.check(context)
    assert found.status == "failed"
    assert found.figure > 0


def test_brain_cut_where_the_atlas_is_wrong(made: Made, tmp_path: Path) -> None:
    """The atlas lies 25 mm too far back; the grey values still show the cut frontal lobes."""
    brain = made.phantom.brain_and_csf
    front = np.argwhere(brain)[:, 1].max()
    cut = brain & (np.indices(brain.shape)[1] > front - 9)
    mask = tmp_path / "m.nii.gz"
    write_image(mask, (made.region.removed | cut).astype(np.uint8), made.phantom.image.affine)
    after = rewrite(
        made.after, tmp_path / "a.nii.gz", lambda _, v: np.where(cut, 9, v).astype(v.dtype)
    )
    wrong = made.fit.atlas_to_image.copy()
    wrong[1, 3] -= 25
    fit = dataclasses.replace(made.fit, atlas_to_image=wrong)
    context = made.context(after_file=after, mask_file=mask, fit=fit, atlas_to_image=wrong)
    assert brain_untouched.check(context).status != "passed"


def test_one_voxel_outside_the_mask_changed(made: Made, tmp_path: Path) -> None:
    def touch(_: int, volume: np.ndarray) -> np.ndarray:
        volume[0, 0, 0] += 1
        return volume

    after = rewrite(made.after, tmp_path / "a.nii.gz", touch)
    found = outside_identical.check(made.context(after_file=after))
    assert found.status == "failed"
    assert found.figure == 1


@pytest.mark.parametrize("field", ["srow_x", "qoffset_y", "pixdim", "scl_slope", "sform_code"])
def test_header_geometry_changed(made: Made, tmp_path: Path, field: str) -> None:
    def bend(header: object) -> None:
        values = np.array(header[field])  # type: ignore[index]
        header[field] = values + 1 if values.ndim == 0 else values + np.eye(len(values))[1]  # type: ignore[index]

    after = rewrite(made.after, tmp_path / "a.nii.gz", lambda _, volume: volume, bend)
    assert grid_unchanged.check(made.context(after_file=after)).status == "failed"


def test_type_changed(made: Made, tmp_path: Path) -> None:
    after = tmp_path / "a.nii.gz"
    write_image(after, raw(made.after).astype(np.float32), made.phantom.image.affine)
    assert grid_unchanged.check(made.context(after_file=after)).status == "failed"


def test_mask_of_another_grid(made: Made, tmp_path: Path) -> None:
    mask = tmp_path / "m.nii.gz"
    write_image(mask, made.region.removed[1:].astype(np.uint8), made.phantom.image.affine)
    findings = {f.gate: f for f in run_gates(made.context(mask_file=mask))}
    assert findings["grid_unchanged"].status == "failed"
    assert findings["outside_identical"].status == "could_not_tell"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_carry_off_by_20_mm(made: Made, axis: int) -> None:
    """The claim agrees with itself, but the head is not there."""
    motion = np.eye(4)
    motion[axis, 3] = 20
    carry = Carry(motion, 0.95, True, "Carried.")
    context = made.context(carry=carry, atlas_to_image=motion @ made.fit.atlas_to_image)
    found = carry_agrees.check(context)
    assert found.status == "failed"
    assert found.figure > 10


def test_region_used_where_the_carry_did_not_put_it(made: Made) -> None:
    elsewhere = made.fit.atlas_to_image.copy()
    elsewhere[0, 3] += 3
    assert carry_agrees.check(made.context(atlas_to_image=elsewhere)).status == "failed"


def test_carry_that_was_not_accepted(made: Made) -> None:
    carry = Carry(np.eye(4), 0.9, False, "The region could not be carried.")
    assert carry_agrees.check(made.context(carry=carry)).status == "failed"


@pytest.mark.parametrize("status", ["no_head", "stripped"])
def test_no_head(made: Made, status: str) -> None:
    fit = dataclasses.replace(made.fit, status=status, sentence="There is no head in it.")
    found = head_found.check(made.context(fit=fit))
    assert found.status == "failed"
    assert found.sentence == "There is no head in it."


def test_head_found_with_little_confidence(made: Made) -> None:
    fit = dataclasses.replace(made.fit, confidence=0.3)
    assert head_found.check(made.context(fit=fit)).status == "failed"


@pytest.mark.parametrize(("texture", "radius"), [(0.0, 80), (0.0, 85), (20.0, 85), (0.0, 100)])
def test_ball_of_gel_passed_off_as_a_head(
    made: Made, tmp_path: Path, texture: float, radius: float
) -> None:
    inside = made.phantom.labels.data > 0
    centre = np.argwhere(made.phantom.brain).mean(axis=0)
    sizes = made.phantom.image.voxel_sizes
    apart = np.linalg.norm(
        (np.indices(inside.shape).transpose(1, 2, 3, 0) - centre) * sizes, axis=-1
    )
    rng = np.random.default_rng(0)
    gel = ndimage.gaussian_filter(rng.normal(0, 10 * texture, inside.shape), 2)
    ball = np.where(apart < radius, 800 + gel, 0) + np.abs(rng.normal(0, 16, inside.shape))
    before = tmp_path / "b.nii.gz"
    write_image(before, ball.astype(np.int16), made.phantom.image.affine)
    context = made.context(before_file=before, after_file=before)
    assert head_found.check(context).status != "passed"
    assert brain_untouched.check(context).status != "passed"


def test_slab_above_the_brow_has_no_face_to_remove(made: Made, tmp_path: Path) -> None:
    affine = made.phantom.image.affine
    brow = apply_affine(np.linalg.inv(affine), made.phantom.landmarks68[19])[2]
    start = int(brow) + 8
    moved = affine.copy()
    moved[:3, 3] = apply_affine(affine, (0, 0, start))
    before, mask = tmp_path / "b.nii.gz", tmp_path / "m.nii.gz"
    write_image(before, raw(made.before)[:, :, start:], moved)
    write_image(mask, np.zeros(read_mask(made.mask)[:, :, start:].shape, np.uint8), moved)
    context = made.context(before_file=before, after_file=before, mask_file=mask)
    assert face_gone.check(context).status == "passed"
    assert all_volumes.check(context).status == "passed"


def test_what_cannot_be_read_is_not_passed(made: Made, tmp_path: Path) -> None:
    after = tmp_path / "a.nii.gz"
    after.write_bytes(made.after.read_bytes()[:20_000])
    findings = run_gates(made.context(after_file=after))
    failed = {f.gate for f in findings if f.status != "passed"}
    assert {"outside_identical", "face_gone", "all_volumes", "metadata_clean"} <= failed
    assert not Verdict("x", findings).passed
