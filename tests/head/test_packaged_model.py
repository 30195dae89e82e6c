"""The packaged network on digital people and on what is no head."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.core.register import axis_rotations
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.find import SURE_SIGHT, contradiction, fit_of
from anonymi_bids.head.locate import find_head
from anonymi_bids.head.network import MODEL_FILE, load_model
from anonymi_bids.head.refine import tissues_of
from anonymi_bids.head.sight import Sight, apart_mm, see_head
from anonymi_bids.io.packaged import packaged_path
from anonymi_bids.model import Image
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom
from benchmarks.head.robust import reordered


def seen(image: Image) -> Sight:
    return see_head(image, load_atlas(), load_model())


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return quick_head(2.0, "T1w", seed=4)


@pytest.fixture(scope="module")
def sight(phantom: Phantom) -> Sight:
    return seen(phantom.image)


def test_it_is_small_and_as_listed() -> None:
    assert packaged_path(MODEL_FILE).stat().st_size <= 8 * 2**20


def test_brain_and_place_of_a_digital_head(phantom: Phantom, sight: Sight) -> None:
    shape = phantom.image.data.shape
    tissues = tissues_of(phantom.image, sight.seen)
    found = tissues.mask_on(phantom.image.affine, shape, "brain", "csf")
    true = phantom.brain_and_csf
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9
    assert sight.confidence >= SURE_SIGHT
    assert fit_of(sight).status == "head"
    assert np.linalg.norm(sight.seen.landmarks["nasion"] - phantom.nasion) < 10


def test_network_and_registration_agree(phantom: Phantom, sight: Sight) -> None:
    fit = find_head(phantom.image, load_atlas())
    assert contradiction(sight, fit.atlas_to_image, load_atlas(), phantom.image) == ""


def test_the_same_image_gives_the_same_bytes(phantom: Phantom, sight: Sight) -> None:
    again = seen(phantom.image)
    assert again.seen.shares.tobytes() == sight.seen.shares.tobytes()
    assert again.atlas_to_image.tobytes() == sight.atlas_to_image.tobytes()


@pytest.mark.parametrize("number", [3, 17])
def test_the_order_of_axes_does_not_matter(phantom: Phantom, sight: Sight, number: int) -> None:
    turned = seen(reordered(phantom.image, axis_rotations()[number]))
    # Blocks of 4 mm are averaged from the other end, so the network looks from a little aside.
    assert apart_mm(turned.atlas_to_image, sight.atlas_to_image, load_atlas()) < 1.5


def test_noise_a_ball_and_a_cylinder_are_no_heads() -> None:
    rng = np.random.default_rng(0)
    affine = np.diag([2.5, 2.5, 2.5, 1.0])
    x, y, z = (np.indices((80, 80, 80)) - 40.0) * 2.5
    noise = np.abs(rng.normal(0, 5, (80, 80, 80))).astype(np.float32)
    ball = x**2 + y**2 + z**2 < 80**2
    cylinder = (x**2 + y**2 < 55**2) & (abs(z) < 90)
    for thing in (np.zeros_like(ball), ball, cylinder):
        assert seen(Image(noise + 300 * thing, affine)).confidence < SURE_SIGHT


def test_a_stripped_brain_is_never_a_head(phantom: Phantom) -> None:
    data = np.where(phantom.brain_and_csf, phantom.image.data, 0).astype(np.float32)
    fit = fit_of(seen(Image(data, phantom.image.affine)))
    assert fit.confidence < SURE_SIGHT or fit.status == "stripped"
