"""A new face: drawn without a look at the old one, laid on the same head, filled with tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.deface.mask import DefaceRegion
from anonymi_bids.deface.refill import Plan, refilled
from anonymi_bids.deface.surface import plan_surface
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.model import HeadFit, Image
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom
from tests.deface.conftest import true_fit


def plan_of(
    image: Image, fit: HeadFit, *, seed: int = 3, style: str = "newface"
) -> tuple[DefaceRegion, Plan]:
    return plan_surface(
        image,
        load_atlas(),
        fit.atlas_to_image,
        brain_margin_mm=5.0,
        ears=True,
        style=style,
        smooth_mm=10.0,
        seed=seed,
    )


@pytest.fixture(scope="module")
def planned(phantom: Phantom, fit: HeadFit) -> tuple[DefaceRegion, Plan]:
    return plan_of(phantom.image, fit)


def middle_of_face(plan: Plan) -> np.ndarray:
    """Voxels of the region more than 20 mm from what is kept along the skin."""
    shell = (plan.own_depth < 6) & ~plan.removed
    near = ndimage.binary_dilation(plan.head, iterations=4)
    apart = ndimage.distance_transform_edt(~(shell & near), sampling=2.0)
    return plan.removed & (apart > 20)


def test_the_same_seed_gives_the_same_face_and_another_another(
    phantom: Phantom, fit: HeadFit, planned: tuple[DefaceRegion, Plan]
) -> None:
    again = plan_of(phantom.image, fit)[1]
    np.testing.assert_array_equal(again.depth, planned[1].depth)
    other = plan_of(phantom.image, fit, seed=4)[1]
    inside = middle_of_face(planned[1])
    assert np.abs(other.depth - planned[1].depth)[inside].mean() > 1.0


def test_the_skin_outside_the_region_does_not_move(
    phantom: Phantom, planned: tuple[DefaceRegion, Plan]
) -> None:
    region, plan = planned
    away = ndimage.distance_transform_edt(~region.removed, sampling=2.0) > 4
    clear = away & (np.abs(plan.own_depth - 1) > 3)
    assert ((plan.depth > 0) == plan.head)[clear & (plan.own_depth > 3)].all()
    assert ((plan.depth > 0) == plan.head)[away].mean() > 0.995


def test_the_new_face_does_not_know_the_old_one(
    phantom: Phantom, fit: HeadFit, planned: tuple[DefaceRegion, Plan]
) -> None:
    """A lump on the cheek and a missing nose leave the new skin where it was."""
    data = phantom.image.data.copy()
    places = apply_affine(phantom.image.affine, np.indices(data.shape).transpose(1, 2, 3, 0))
    nose, cheek = phantom.landmarks68[30], phantom.landmarks68[4]
    data[np.linalg.norm(places - nose, axis=-1) < 14] = 1.0
    data[np.linalg.norm(places - cheek, axis=-1) < 16] = 70.0
    changed = plan_of(Image(data, phantom.image.affine), fit)[1]
    assert (changed.head != planned[1].head).sum() > 300
    inside = middle_of_face(planned[1]) & middle_of_face(changed)
    assert inside.sum() > 1000
    assert np.abs(changed.depth - planned[1].depth)[inside].mean() < 0.5


def test_voxels_outside_the_region_keep_their_bits(
    phantom: Phantom, planned: tuple[DefaceRegion, Plan]
) -> None:
    region, plan = planned
    raw = phantom.image.data
    filled = refilled(raw, plan, np.random.default_rng(1))
    assert filled.dtype == raw.dtype
    np.testing.assert_array_equal(filled[~region.removed], raw[~region.removed])
    skin = region.removed & plan.head & (plan.own_depth < 3)
    assert (filled[skin] != raw[skin]).mean() > 0.99
    np.testing.assert_array_equal(filled, refilled(raw, plan, np.random.default_rng(1)))
    assert (filled != refilled(raw, plan, np.random.default_rng(2))).any()


def test_tissue_is_as_bright_as_the_scan_and_air_as_dark(
    phantom: Phantom, planned: tuple[DefaceRegion, Plan]
) -> None:
    region, plan = planned
    raw = phantom.image.data
    filled = refilled(raw, plan, np.random.default_rng(1))
    inside = region.removed & (plan.depth > 3) & (plan.depth < 15)
    outside = region.removed & (plan.depth < -3)
    own = region.removed & plan.head & (plan.own_depth > 3) & (plan.own_depth < 15)
    assert np.median(filled[inside]) == pytest.approx(np.median(raw[own]), rel=0.25)
    air = raw[region.air]
    assert np.median(filled[outside]) == pytest.approx(np.median(air), rel=0.1)
    assert filled[outside].max() <= air.max()


@pytest.mark.parametrize("kind", ["unit", "int16", "uint8", "negative"])
def test_any_type_and_scale_is_filled_in_its_own(
    phantom: Phantom, planned: tuple[DefaceRegion, Plan], kind: str
) -> None:
    region, plan = planned
    high = float(phantom.image.data.max())
    raw = {
        "unit": (phantom.image.data / high).astype(np.float64),
        "int16": np.rint(phantom.image.data * 20).astype(np.int16),
        "uint8": np.rint(phantom.image.data / high * 255).astype(np.uint8),
        "negative": np.rint(phantom.image.data * 8 - 1000).astype(np.int16),
    }[kind]
    filled = refilled(raw, plan, np.random.default_rng(1))
    assert filled.dtype == raw.dtype
    inside = region.removed & (plan.depth > 3) & (plan.depth < 15)
    own = region.removed & plan.head & (plan.own_depth > 3) & (plan.own_depth < 15)
    spread = float(raw.max()) - float(raw.min())
    apart = abs(float(np.median(filled[inside])) - float(np.median(raw[own])))
    assert apart < 0.12 * spread
    assert filled.min() >= raw.min()
    assert filled.max() <= raw.max()


def test_blur_keeps_the_head_and_takes_the_edges(phantom: Phantom, fit: HeadFit) -> None:
    region, plan = plan_of(phantom.image, fit, style="blur")
    inside = middle_of_face(plan)
    own = np.where(plan.head, plan.own_depth, 0)
    assert 0.3 < region.figures["moved_mean_mm"] < 8
    assert ((plan.depth > 0) == plan.head)[inside & ((own > 8) | ~plan.head)].mean() > 0.9


def test_other_contrasts_get_the_same_skin(phantom: Phantom, fit: HeadFit) -> None:
    t2w = quick_head(2.0, "T2w", 1)
    one = plan_of(phantom.image, fit)[1]
    two = plan_of(t2w.image, replace(true_fit(t2w)))[1]
    inside = middle_of_face(one) & middle_of_face(two) & (np.abs(one.depth) < 20)
    assert np.abs(one.depth - two.depth)[inside].mean() < 1.0


def test_tissues_side_by_side_are_no_texture() -> None:
    """On CT fat and muscle differ by 150 units and either is smooth: no speckle of 100."""
    rng = np.random.default_rng(0)
    shape = (60, 60, 40)
    head = np.zeros(shape, bool)
    head[5:55, 5:55, 5:35] = True
    stripes = np.where(np.arange(60) // 15 % 2, 55.0, -95.0)[:, None, None]
    data = np.where(head, stripes, -1000.0) + rng.normal(0, 12, shape)
    depth = ndimage.distance_transform_edt(head).astype(np.float32)
    depth -= ndimage.distance_transform_edt(~head).astype(np.float32)
    removed = np.zeros(shape, bool)
    removed[:, 30:, :] = True
    labels = np.where(head, 5, 0).astype(np.uint8)
    plan = Plan(removed, depth, np.maximum(depth, 0), labels, ~head, head, np.eye(4))
    filled = refilled(np.rint(data).astype(np.int16), plan, rng).astype(np.float32)
    core = removed & (depth > 10)
    assert filled[core].std() < 40
    assert filled[core].std() > 5
    assert -100 < np.median(filled[core]) < 60
