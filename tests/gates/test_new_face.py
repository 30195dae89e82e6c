"""The gates on a head that was given a new face: another one passes, the same one does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.core.grid import resample
from anonymi_bids.deface.apply import deface_scan
from anonymi_bids.deface.refill import Plan
from anonymi_bids.deface.surface import plan_surface
from anonymi_bids.gates import ears_gone, face_gone, new_face, outside_identical
from anonymi_bids.gates.context import GateContext
from anonymi_bids.gates.surface import shell
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.io.images import read_image

from .conftest import Made


@pytest.fixture(scope="module")
def plan(made: Made) -> Plan:
    return plan_surface(
        read_image(made.before),
        load_atlas(),
        made.fit.atlas_to_image,
        brain_margin_mm=5.0,
        ears=True,
        style="newface",
        smooth_mm=16.0,
        seed=5,
    )[1]


def context(made: Made, plan: Plan, folder: Path, *, rebuilt: bool = True) -> GateContext:
    """Write the image with this plan and give what the gates look at."""
    after, mask = folder / "after.nii.gz", folder / "mask.nii.gz"
    deface_scan(made.before, after, mask, made.region, seed=1, plan=plan)
    return made.context(after_file=after, mask_file=mask, rebuilt=rebuilt)


def test_another_face_passes(made: Made, plan: Plan, tmp_path: Path) -> None:
    ctx = context(made, plan, tmp_path)
    for gate in (face_gone, ears_gone, outside_identical):
        found = gate.check(ctx)
        assert found.status == "passed", found.sentence


def test_tissue_in_the_faces_place_is_no_face_only_where_one_was_asked_for(
    made: Made, plan: Plan, tmp_path: Path
) -> None:
    ctx = context(made, plan, tmp_path, rebuilt=False)
    assert face_gone.check(ctx).status == "failed"
    assert ears_gone.check(ctx).status == "failed"


def test_the_own_shape_filled_with_other_tissue_is_the_same_face(
    made: Made, plan: Plan, tmp_path: Path
) -> None:
    signed = np.where(plan.head, plan.own_depth, plan.depth - 1e3).astype(np.float32)
    found = face_gone.check(context(made, replace(plan, depth=signed), tmp_path))
    assert found.status == "failed"


def test_a_new_skin_near_the_old_one_is_refused(made: Made, plan: Plan, tmp_path: Path) -> None:
    ctx = context(made, plan, tmp_path)
    strict = replace(ctx, settings=replace(ctx.settings, min_new_skin_mm=20.0))
    found = face_gone.check(strict)
    assert found.status == "failed"
    assert "mm from the old one" in found.sentence


def test_the_own_shape_a_little_deeper_is_the_same_face(
    made: Made, plan: Plan, tmp_path: Path
) -> None:
    sunk = np.where(plan.head, plan.own_depth - 4, -9).astype(np.float32)
    ctx = context(made, replace(plan, depth=sunk), tmp_path)
    alike = new_face.likeness(ctx)
    assert alike is not None
    assert alike > 0.8
    found = face_gone.check(ctx)
    assert found.status == "failed"
    assert "relief" in found.sentence


def test_an_untouched_face_is_the_same_face(made: Made, plan: Plan, tmp_path: Path) -> None:
    ctx = context(made, plan, tmp_path)
    same = replace(ctx, after_file=made.before)
    assert face_gone.check(same).status == "failed"
    assert ears_gone.check(same).status == "failed"
    assert new_face.likeness(same) == pytest.approx(1.0)
    assert new_face.new_skin_mm(same, shell(same.tissue, same.before.affine)) == 0.0


def test_the_own_ear_filled_with_other_tissue_is_the_same_ear(
    made: Made, plan: Plan, tmp_path: Path
) -> None:
    """The face is another one, every ear voxel has changed, and yet the ears are the own."""
    atlas = load_atlas()
    own = np.where(plan.head, plan.own_depth, -9).astype(np.float32)
    depth = plan.depth.copy()
    for ear in (atlas.ear_left, atlas.ear_right):
        near = resample(
            ear.data,
            ear.affine,
            plan.affine,
            depth.shape,
            source_to_target=made.fit.atlas_to_image,
        )
        near = ndimage.binary_dilation(near, iterations=3)
        depth[near] = own[near]
    ctx = context(made, replace(plan, depth=depth), tmp_path)
    assert face_gone.check(ctx).status == "passed"
    found = ears_gone.check(ctx)
    assert found.status == "failed"
    assert "the same ear" in found.sentence


def test_a_face_that_cannot_be_compared_is_refused(
    made: Made, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = context(made, plan, tmp_path)
    monkeypatch.setattr(new_face, "MIN_PIXELS", 10_000_000)
    assert new_face.likeness(ctx) is None
    found = face_gone.check(ctx)
    assert found.status == "failed"
    assert "Too little of the face" in found.sentence
