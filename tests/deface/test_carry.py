"""Carrying the head to another image of the session."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.deface.carry import carry
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.model import Carry, HeadFit, Image
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom


@pytest.fixture(scope="module")
def other() -> Phantom:
    return quick_head(3.0, "T2w", 5)


def motion_of(
    degrees: tuple[float, float, float], shift: tuple[float, float, float]
) -> np.ndarray:
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    motion[:3, 3] = shift
    return motion


def do(phantom: Phantom, image: Image, fit: HeadFit) -> Carry:
    return carry(phantom.image, image, fit, load_atlas(), seed=0)


def error_mm(found: np.ndarray, true: np.ndarray) -> float:
    corners = np.array([[x, y, z] for x in (-70, 70) for y in (-90, 100) for z in (-60, 110)])
    apart = apply_affine(found, corners) - apply_affine(true, corners)
    return float(np.linalg.norm(apart, axis=1).max())


def test_reference_itself(phantom: Phantom, fit: HeadFit) -> None:
    found = do(phantom, phantom.image, fit)
    assert found.accepted
    assert found.agreement == 1
    np.testing.assert_array_equal(found.reference_to_image, np.eye(4))


def test_headers_that_agree_are_believed(phantom: Phantom, fit: HeadFit, other: Phantom) -> None:
    found = do(phantom, other.image, fit)
    assert found.accepted
    assert "headers" in found.sentence
    np.testing.assert_array_equal(found.reference_to_image, np.eye(4))


@pytest.mark.parametrize(
    ("degrees", "shift"), [((4, -3, 2), (3, 8, -6)), ((10, 5, -12), (20, -15, 30))]
)
def test_a_moved_head_is_followed(
    phantom: Phantom,
    fit: HeadFit,
    other: Phantom,
    degrees: tuple[float, float, float],
    shift: tuple[float, float, float],
) -> None:
    motion = motion_of(degrees, shift)
    found = do(phantom, other.moved(motion).image, fit)
    assert found.accepted, found.sentence
    assert error_mm(found.reference_to_image, motion) < 4


def test_slab_in_place(phantom: Phantom, fit: HeadFit, other: Phantom) -> None:
    affine = other.image.affine.copy()
    affine[:3, 3] = apply_affine(affine, (0, 0, 40))
    found = do(phantom, Image(other.image.data[:, :, 40:66], affine), fit)
    assert found.accepted, found.sentence
    assert error_mm(found.reference_to_image, np.eye(4)) < 5


def test_noise_is_not_accepted(phantom: Phantom, fit: HeadFit, other: Phantom) -> None:
    noise = np.random.default_rng(0).normal(100, 10, other.image.data.shape).astype(np.float32)
    found = do(phantom, Image(noise, other.image.affine), fit)
    assert not found.accepted
    assert found.agreement < 0.9
    assert found.sentence.endswith(".")


def test_sphere_is_not_accepted(phantom: Phantom, fit: HeadFit, other: Phantom) -> None:
    ijk = np.indices(other.image.data.shape).transpose(1, 2, 3, 0)
    radius = np.linalg.norm(ijk - np.array(ijk.shape[:3]) / 2, axis=-1) * 3
    ball = np.where(radius < 80, 100.0, 0.0) + np.random.default_rng(0).normal(5, 2, radius.shape)
    assert not do(phantom, Image(ball.astype(np.float32), other.image.affine), fit).accepted


def test_empty_image_says_so(phantom: Phantom, fit: HeadFit, other: Phantom) -> None:
    found = do(phantom, Image(np.zeros_like(other.image.data), other.image.affine), fit)
    assert not found.accepted
    assert "No head" in found.sentence
