"""The region of the method `mask` against the truth of a painted head."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.deface.mask import DefaceRegion, build_region
from anonymi_bids.deface.own import nasion_of
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.model import HeadFit, Image
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom
from tests.deface.conftest import true_fit


def region_of(image: Image, placed: np.ndarray, *, ears: bool = True) -> DefaceRegion:
    return build_region(image, load_atlas(), placed, brain_margin_mm=5.0, ears=ears)


def skin_of(phantom: Phantom) -> np.ndarray:
    """Outermost voxel of the head; the edge of the image is no skin."""
    head = phantom.labels.data > 0
    return head & ndimage.binary_dilation(~ndimage.binary_fill_holes(head))


def face_window(phantom: Phantom) -> np.ndarray:
    """Below the brows, above the chin, in front of the preauricular points."""
    mm = apply_affine(
        phantom.image.affine, np.indices(phantom.image.data.shape).transpose(1, 2, 3, 0)
    )
    ears = (phantom.lpa + phantom.rpa) / 2
    forward = phantom.nasion - ears
    forward[2] = 0
    forward /= np.linalg.norm(forward)
    brow, chin = phantom.landmarks68[17:27, 2].mean(), phantom.landmarks68[8, 2]
    return ((mm - ears) @ forward > 3) & (mm[..., 2] < brow - 3) & (mm[..., 2] > chin)


@pytest.fixture(scope="module")
def region(phantom: Phantom, fit: HeadFit) -> DefaceRegion:
    return region_of(phantom.image, fit.atlas_to_image)


def test_no_brain_or_csf_is_removed(phantom: Phantom, region: DefaceRegion) -> None:
    assert not (region.removed & phantom.brain_and_csf).any()
    assert not (region.removed & region.protected).any()


def test_skin_and_eyes_of_the_face_are_removed(phantom: Phantom, region: DefaceRegion) -> None:
    skin = skin_of(phantom) & face_window(phantom)
    assert skin.sum() > 5000
    assert (skin & ~region.removed).sum() / skin.sum() < 0.02
    for corners in (slice(36, 42), slice(42, 48)):
        globe = phantom.landmarks68[corners].mean(axis=0) - (0, 10, 0)
        i, j, k = np.rint(apply_affine(np.linalg.inv(phantom.image.affine), globe)).astype(int)
        assert region.removed[i, j:, k].all()


def test_vault_and_back_of_the_head_stay(phantom: Phantom, region: DefaceRegion) -> None:
    skin = skin_of(phantom)
    z = apply_affine(phantom.image.affine, np.indices(skin.shape).transpose(1, 2, 3, 0))[..., 2]
    vault = skin & (z > phantom.landmarks68[17:27, 2].max() + 3)
    assert (vault & region.removed).sum() / vault.sum() < 0.02
    back = skin & (np.indices(skin.shape)[1] < np.argwhere(phantom.brain_and_csf)[:, 1].min() + 5)
    assert back.any()
    assert not (back & region.removed).any()


def test_air_in_front_goes_to_the_border_and_pool_is_air(
    phantom: Phantom, region: DefaceRegion
) -> None:
    tip = np.rint(apply_affine(np.linalg.inv(phantom.image.affine), phantom.landmarks68[30]))
    i, j, k = tip.astype(int)
    assert region.removed[i, j:, k].all()
    assert region.air.sum() > 10_000
    assert not (region.air & ((phantom.labels.data > 0) | region.removed)).any()


def test_ears_stay_if_the_policy_leaves_them(
    phantom: Phantom, fit: HeadFit, region: DefaceRegion
) -> None:
    without = region_of(phantom.image, fit.atlas_to_image, ears=False)
    extra = region.removed & ~without.removed & (phantom.labels.data > 0)
    assert extra.sum() > 500
    assert not (without.removed & ~region.removed).any()


@pytest.mark.parametrize("shift", [(0, 0, 7), (0, 0, -9), (0, 8, 0), (0, -8, 0), (6, 0, 0)])
def test_a_fit_some_mm_off_leaves_no_skin_and_cuts_no_brain(
    phantom: Phantom, fit: HeadFit, shift: tuple[float, float, float]
) -> None:
    wrong = fit.atlas_to_image.copy()
    wrong[:3, 3] += shift
    region = region_of(phantom.image, wrong)
    assert not (region.removed & phantom.brain_and_csf).any()
    skin = skin_of(phantom) & face_window(phantom)
    assert (skin & ~region.removed).sum() / skin.sum() < 0.05


@pytest.mark.parametrize("contrast", ["T2w", "FLAIR", "PD", "CT"])
def test_other_contrasts(contrast: str) -> None:
    phantom = quick_head(2.5, contrast, 2)
    region = region_of(phantom.image, true_fit(phantom).atlas_to_image)
    assert not (region.removed & phantom.brain_and_csf).any()
    skin = skin_of(phantom) & face_window(phantom)
    assert (skin & ~region.removed).sum() / skin.sum() < 0.03


def test_any_orientation_gives_the_same_region(
    phantom: Phantom, fit: HeadFit, region: DefaceRegion
) -> None:
    data = np.flip(phantom.image.data.transpose(2, 0, 1), axis=(0, 2))
    turn = np.zeros((4, 4))
    turn[[2, 0, 1, 3], [0, 1, 2, 3]] = 1
    flips = np.diag([-1.0, 1, -1, 1])
    flips[:3, 3] = (data.shape[0] - 1, 0, data.shape[2] - 1)
    turned = region_of(Image(data, phantom.image.affine @ turn @ flips), fit.atlas_to_image)
    back = np.flip(turned.removed, axis=(0, 2)).transpose(1, 2, 0)
    assert (back != region.removed).mean() < 0.002


def test_top_of_head_slab_without_a_face(phantom: Phantom, fit: HeadFit) -> None:
    start = int(apply_affine(np.linalg.inv(phantom.image.affine), phantom.landmarks68[19])[2]) + 12
    affine = phantom.image.affine.copy()
    affine[:3, 3] = apply_affine(phantom.image.affine, (0, 0, start))
    slab = Image(phantom.image.data[:, :, start:], affine)
    region = region_of(slab, fit.atlas_to_image)
    assert not region.removed.any()


def test_nothing_at_all_is_not_an_error(fit: HeadFit) -> None:
    region = region_of(
        Image(np.zeros((20, 20, 20), np.float32), np.eye(4) * 8), fit.atlas_to_image
    )
    assert region.figures["skin_left"] == 0


def test_an_image_without_its_nose_is_cut_where_the_reference_is(
    phantom: Phantom, fit: HeadFit
) -> None:
    image, atlas = phantom.image, load_atlas()
    # The atlas lies 6 mm too low, which only the own nasion tells.
    low = fit.atlas_to_image.copy()
    low[2, 3] -= 6.0
    known = nasion_of(image, low, atlas.landmarks)
    assert known.found
    tip = apply_affine(fit.atlas_to_image, atlas.landmarks["nose_tip"])
    start = int(apply_affine(np.linalg.inv(image.affine), tip + (0, 0, 12))[2])
    affine = image.affine.copy()
    affine[:3, 3] = apply_affine(image.affine, (0, 0, start))
    upper = Image(image.data[:, :, start:], affine)
    place = {"brain_margin_mm": 5.0, "ears": False}
    whole = build_region(image, atlas, low, **place)
    alone = build_region(upper, atlas, low, **place)
    told = build_region(upper, atlas, low, **place, nasion=known)
    assert alone.figures["nasion_found"] == 0

    def top(region: DefaceRegion, first: int = 0) -> int:
        return int(np.flatnonzero(region.removed.any(axis=(0, 1)))[-1]) + first

    assert abs(top(told, start) - top(whole)) <= 1
    assert top(alone, start) < top(whole) - 2
