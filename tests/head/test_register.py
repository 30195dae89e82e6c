"""Known motions come back, in the right direction, with the same bytes twice."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.core.grid import apply_affine, resample
from anonymi_bids.core.register import (
    axis_rotations,
    coarse_grid,
    information,
    rigid_matrix,
    take_apart,
    to_bins,
)
from anonymi_bids.errors import RegistrationFailed
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.register import coarse_image, register, similarity
from anonymi_bids.model import Image

POINTS = np.array([[0.0, 100, 30], [75, 0, 0], [-75, 0, 0], [0, 0, 125], [0, -90, 40]])


@pytest.fixture(scope="module")
def head() -> Image:
    return coarse_image(load_atlas().painted, 5.0)


def moved(head: Image, motion: np.ndarray, *, flip: bool = False) -> Image:
    """The head after a motion, on a left-handed grid of another size where `flip`."""
    affine = np.diag([-5.5 if flip else 5.5, 5.5, 5.5, 1.0])
    affine[:3, 3] = [125 if flip else -125, -135, -120]
    shape = (46, 56, 54)
    return Image(resample(head.data, head.affine, affine, shape, source_to_target=motion), affine)


@pytest.mark.parametrize("flip", [False, True])
def test_a_known_rigid_motion_comes_back(head: Image, flip: bool) -> None:
    motion = rigid_matrix([8, -5, 6], [7, -4, 3])
    found = register(moved(head, motion, flip=flip), head, kind="rigid", spacing_mm=8.0)
    apart = apply_affine(found.moving_to_fixed, POINTS) - apply_affine(motion, POINTS)
    assert np.abs(apart).max() < 1.0
    assert found.metric > 0.85


def test_a_known_affine_motion_comes_back_from_a_start_and_twice_the_same(head: Image) -> None:
    motion = rigid_matrix([10, 5, -30], [20, -15, 10]) @ np.diag([1.06, 0.95, 1.02, 1])
    start = rigid_matrix([0, 0, -25], [15, -10, 5])
    runs = [
        register(moved(head, motion), head, kind="affine", start=start, spacing_mm=8.0, seed=3)
        for _ in range(2)
    ]
    apart = apply_affine(runs[0].moving_to_fixed, POINTS) - apply_affine(motion, POINTS)
    assert np.abs(apart).max() < 1.5
    np.testing.assert_array_equal(runs[0].moving_to_fixed, runs[1].moving_to_fixed)


def test_images_that_share_nothing_fail_in_a_sentence(head: Image) -> None:
    far = np.eye(4)
    far[:3, 3] = 5000
    with pytest.raises(RegistrationFailed, match="share too little"):
        register(head, head, kind="rigid", start=far, spacing_mm=8.0)


def test_similarity_falls_with_a_wrong_motion(head: Image) -> None:
    right = similarity(head, head, np.eye(4))
    wrong = similarity(head, head, rigid_matrix([0, 0, 20], [10, 0, 0]))
    assert right > 0.95
    assert wrong < right - 0.05


def test_information_is_one_for_copies_and_low_for_strangers(rng: np.random.Generator) -> None:
    values = rng.normal(size=20000)
    bins = to_bins(values, 16, -3, 3)
    assert information(bins, 15 - bins, 16) > 0.98
    assert information(bins, rng.permutation(bins), 16) < 0.2
    assert information(bins[:0], bins[:0], 16) == 0.0


def test_coarse_grids_cover_any_field_of_view_right_handed(rng: np.random.Generator) -> None:
    for number in range(20):
        axes = axis_rotations()[number] @ np.diag([1.0, -1.0 if number % 2 else 1.0, 1.0])
        affine = rigid_matrix(rng.uniform(-20, 20, 3), rng.uniform(-50, 50, 3))
        affine[:3, :3] = affine[:3, :3] @ axes @ np.diag([0.9, 1.1, 4.0])
        shape = (100, 90, 30)
        grid, counts = coarse_grid(shape, affine, 3.0)
        assert np.linalg.det(grid[:3, :3]) == pytest.approx(27)
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
        index = apply_affine(np.linalg.inv(grid) @ affine, corners)
        assert index.min() > -0.6
        assert (index.max(axis=0) < np.array(counts) - 0.4).all()
        assert np.diag(grid[:3, :3]).min() > 0


def test_taking_apart_gives_angle_and_stretches() -> None:
    matrix = rigid_matrix([0, 0, 40], [1, 2, 3])
    matrix[:3, :3] = matrix[:3, :3] @ np.diag([0.8, 1.0, 1.2])
    _, stretches, angle = take_apart(matrix)
    np.testing.assert_allclose(stretches, [0.8, 1.0, 1.2])
    assert angle == pytest.approx(40)


def test_there_are_24_axis_rotations_and_the_first_is_none() -> None:
    turns = axis_rotations()
    assert len({tuple(turn.ravel()) for turn in turns}) == 24
    np.testing.assert_array_equal(turns[0], np.eye(3))
    assert all(np.linalg.det(turn) == pytest.approx(1) for turn in turns)
