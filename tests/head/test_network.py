"""The network's answer is brought to the image's mm, whatever the image's axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.head import network
from anonymi_bids.model import Image

ATLAS_TO_IMAGE = np.array(
    [
        [0.98, 0.05, -0.02, 4.0],
        [-0.04, 1.03, 0.12, -9.0],
        [0.03, -0.11, 0.95, 14.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
NASION_MM = np.array([3.0, 71.0, 22.0])


class KnowsAll:
    """A network that knows where it is asked to look: its answer is the truth of one head."""

    def __init__(self, grid: np.ndarray, *, wrong: float = 0.0) -> None:
        self.grid = grid
        self.wrong = wrong
        self.shown: Any = None

    def run(self, _: Any, given: dict[str, Any]) -> list[Any]:
        self.shown = given["scan"]
        shape = network.GRID_SHAPE
        fine = np.zeros((1, 10, *shape), np.float32)
        index = np.indices(shape).reshape(3, -1).T
        mm = apply_affine(self.grid, index)
        ball = (np.linalg.norm(mm - (4, -9, 14), axis=1) < 70).reshape(shape)
        fine[0, 0] = np.where(ball, -9, 9)
        fine[0, 1] = np.where(ball, 9, -9)
        fine[0, 8] = np.where(mm[:, 0].reshape(shape) < 0, 9, -9)
        half = tuple(n // 2 for n in shape)
        coarse = np.zeros((1, 10, *half), np.float32)
        coarse_mm = apply_affine(self.grid, np.indices(half).reshape(3, -1).T * 2 + 0.5)
        atlas = apply_affine(np.linalg.inv(ATLAS_TO_IMAGE), coarse_mm)
        rng = np.random.default_rng(0)
        atlas += self.wrong * (rng.random((len(atlas), 1)) < 0.2) * 60
        coarse[0, :3] = atlas.T.reshape(3, *half) / network.HUNDRED_MM
        apart = np.linalg.norm(coarse_mm - NASION_MM, axis=1).reshape(half)
        coarse[0, 3] = -0.5 * (apart / 5) ** 2
        return [fine, coarse]


def some_image() -> Image:
    rng = np.random.default_rng(1)
    affine = np.array([[0, 0, -3.0, 90], [1.5, 0, 0, -110], [0, 2.5, 0, -80], [0, 0, 0, 1]])
    return Image(rng.random((150, 70, 60)).astype(np.float32), affine)


def test_affine_and_landmark_come_back_in_mm() -> None:
    grid = network.grid_at((4, -9, 14))
    seen = network.look(some_image(), KnowsAll(grid), grid)
    matrix, figures = network.fit_affine(seen)
    np.testing.assert_allclose(matrix, ATLAS_TO_IMAGE, atol=1e-3)
    assert figures["residual_mm"] < 0.01
    assert figures["located_ml"] == pytest.approx(4 / 3 * np.pi * 7**3, rel=0.05)
    np.testing.assert_allclose(seen.landmarks["nasion"], NASION_MM, atol=1.0)


def test_a_fifth_of_wild_coordinates_does_no_harm() -> None:
    grid = network.grid_at((4, -9, 14))
    seen = network.look(some_image(), KnowsAll(grid, wrong=1.0), grid)
    matrix, _ = network.fit_affine(seen)
    np.testing.assert_allclose(matrix, ATLAS_TO_IMAGE, atol=0.02)


def test_a_turned_grid_still_answers_in_mm_of_the_image() -> None:
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    grid = network.grid_at((4, -9, 14), turn)
    np.testing.assert_allclose(
        apply_affine(grid, (np.array(network.GRID_SHAPE) - 1) / 2), (4, -9, 14)
    )
    seen = network.look(some_image(), KnowsAll(grid), grid)
    matrix, _ = network.fit_affine(seen)
    np.testing.assert_allclose(matrix, ATLAS_TO_IMAGE, atol=1e-3)


def test_a_mirrored_look_is_turned_back() -> None:
    grid = network.grid_at((0, 0, 0))

    class Mirrored(KnowsAll):
        """Answers as a network that is shown the mirror image of a head about x = 0."""

        def run(self, names: Any, given: dict[str, Any]) -> list[Any]:
            fine, coarse = super().run(names, given)
            fine, coarse = fine[:, :, ::-1].copy(), coarse[:, :, ::-1].copy()
            coarse[:, 0] *= -1
            fine[:, [8, 9]] = fine[:, [9, 8]]
            return [fine, coarse]

    plain = network.look(some_image(), KnowsAll(grid), grid)
    turned = network.look(some_image(), Mirrored(grid), grid, mirrored=True)
    np.testing.assert_allclose(turned.regions, plain.regions, atol=1e-6)
    np.testing.assert_allclose(turned.coordinates, plain.coordinates, atol=1e-4)
    np.testing.assert_allclose(network.fit_affine(turned)[0], ATLAS_TO_IMAGE, atol=1e-3)


def test_what_lies_outside_the_image_is_zero_and_out_of_view() -> None:
    grid = network.grid_at((0, 0, 0))
    model = KnowsAll(grid)
    image = some_image()
    seen = network.look(image, model, grid)
    shown = model.shown[0, 0]
    assert not seen.in_view.all()
    assert seen.in_view.any()
    assert (shown[~seen.in_view] == 0).all()
    assert 0.9 < np.percentile(shown[seen.in_view], 99.5) <= 1.01
    voxels = apply_affine(
        np.linalg.inv(image.affine), apply_affine(grid, np.argwhere(seen.in_view))
    )
    assert (voxels > -0.51).all()
    assert (voxels < np.array(image.data.shape) - 0.49).all()


def test_fine_voxels_are_averaged_not_skipped() -> None:
    data = np.zeros((160, 160, 160), np.float32)
    data[::2] = 2.0
    grid = network.grid_at((80, 80, 80))
    scan, in_view = network.resampled(Image(data, np.eye(4)), grid)
    inside = scan[in_view]
    np.testing.assert_allclose(np.median(inside), 1.0, atol=1e-6)


def test_shares_add_up_to_one() -> None:
    grid = network.grid_at((0, 0, 0))
    seen = network.look(some_image(), KnowsAll(grid), grid)
    np.testing.assert_allclose(seen.shares.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(seen.share("air", "brain"), 1, atol=1e-3)


def test_an_empty_look_finds_no_place() -> None:
    grid = network.grid_at((0, 0, 0))

    class Blind(KnowsAll):
        def run(self, names: Any, given: dict[str, Any]) -> list[Any]:
            fine, coarse = super().run(names, given)
            fine[0, 0], fine[0, 1] = 9, -9
            return [fine, coarse]

    matrix, figures = network.fit_affine(network.look(some_image(), Blind(grid), grid))
    assert figures["residual_mm"] == float("inf")
    np.testing.assert_array_equal(matrix, np.eye(4))


def test_ct_is_shown_with_dark_bone_and_mr_as_it_is() -> None:
    data = np.full((40, 40, 40), -1000.0, np.float32)
    data[8:32, 8:32, 8:32] = 40.0
    data[12:28, 12:28, 12:28] = 1100.0
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    grid = network.grid_at(network.apply_affine(affine, (19.5, 19.5, 19.5)))
    shown, _ = network.resampled(Image(data, affine), grid)
    middle = tuple(n // 2 for n in network.GRID_SHAPE)
    soft = (middle[0], middle[1], middle[2] - 20)
    assert shown[middle] == pytest.approx(0.1, abs=0.06)
    assert shown[soft] == pytest.approx(0.8, abs=0.05)
    assert shown[0, 0, 0] == 0
    bright, _ = network.resampled(Image(data + 1000, affine), grid)
    assert bright[middle] > bright[soft]
