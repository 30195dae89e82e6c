"""Depth maps of shapes whose depth is known."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.core import render
from anonymi_bids.core.grid import apply_affine

EXTENT = ((-60.0, 60.0), (-50.0, 50.0), (-90.0, 90.0))
RADIUS = 45.0


def ball(affine: np.ndarray, shape: tuple[int, int, int], centre: tuple) -> np.ndarray:
    """Share of each voxel inside a ball, exact enough across its border."""
    mm = apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    apart = np.linalg.norm(mm - np.asarray(centre), axis=-1)
    return np.clip(RADIUS - apart + 0.5, 0, 1).astype(np.float32)


def grid(voxel: float = 2.0, flip: bool = False) -> tuple[np.ndarray, tuple[int, int, int]]:
    n = round(140 / voxel)
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -70 + voxel / 2
    if flip:
        affine[0, 0], affine[0, 3] = -voxel, 70 - voxel / 2
    return affine, (n, n, n)


@pytest.mark.parametrize("azimuth", [0, 35, -90, 180])
@pytest.mark.parametrize("elevation", [0, 20, 90])
def test_ball_from_everywhere(azimuth: float, elevation: float) -> None:
    affine, shape = grid()
    depth = render.depth_map(
        ball(affine, shape, (0, 0, 0)),
        affine,
        np.eye(4),
        render.view_direction(azimuth, elevation),
        3.0,
        EXTENT,
    )
    assert depth.shape == (33, 40)
    rows = 50 - 3 * (np.arange(33) + 0.5)
    columns = -60 + 3 * (np.arange(40) + 0.5)
    from_axis = np.hypot(*np.meshgrid(columns, rows))
    middle = from_axis < 38
    true = np.sqrt(np.maximum(RADIUS**2 - from_axis**2, 0))
    wrong = np.abs(depth - true)[middle]
    assert wrong.mean() < 0.25
    assert wrong.max() < 1.2
    assert np.isnan(depth[from_axis > RADIUS + 2]).all()


def test_front_is_forward_and_right_is_left() -> None:
    affine, shape = grid()
    # The ball lies forward, to the head's right and low.
    mask = ball(affine, shape, (12, 20, -10))
    front = render.depth_map(mask, affine, np.eye(4), render.view_direction(0), 2.0, EXTENT)
    row, column = np.unravel_index(np.nanargmax(front), front.shape)
    assert np.nanmax(front) == pytest.approx(20 + RADIUS, abs=0.5)
    assert 50 - 2 * (row + 0.5) == pytest.approx(-10, abs=3)
    assert -60 + 2 * (column + 0.5) == pytest.approx(-12, abs=3)
    right = render.depth_map(mask, affine, np.eye(4), render.view_direction(90), 2.0, EXTENT)
    assert np.nanmax(right) == pytest.approx(12 + RADIUS, abs=0.5)


def test_grid_and_pose_do_not_matter(rng: np.random.Generator) -> None:
    angle = np.deg2rad(20)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = 4, -6, 3
    views = []
    for flip, motion in ((False, np.eye(4)), (True, pose)):
        affine, shape = grid(flip=flip)
        centre = tuple(apply_affine(motion, (5.0, 8.0, 2.0)))
        mask = ball(affine, shape, centre)
        views.append(
            render.depth_map(mask, affine, motion, render.view_direction(30), 4.0, EXTENT)
        )
    both = np.isfinite(views[0]) & np.isfinite(views[1])
    assert both.sum() > 300
    assert np.abs(views[0] - views[1])[both].mean() < 0.4


def test_cut_of_the_field_of_view_is_no_surface() -> None:
    affine, shape = grid()
    mask = np.ones(shape, dtype=bool)
    depth = render.depth_map(mask, affine, np.eye(4), render.view_direction(0), 4.0, EXTENT)
    assert np.isnan(depth).all()


def test_soft_mask_is_smoother() -> None:
    affine, shape = grid()
    hard = ball(affine, shape, (0, 0, 0)) > 0.5
    true = ball(affine, shape, (0, 0, 0))
    views = [
        render.depth_map(field, affine, np.eye(4), render.view_direction(0), 2.0, EXTENT)
        for field in (hard, render.soften(hard, affine), true)
    ]
    middle = np.s_[15:35, 20:40]
    rough, smooth = (np.abs(view - views[2])[middle].mean() for view in views[:2])
    assert smooth < rough


def test_shade_faces_the_light() -> None:
    affine, shape = grid()
    depth = render.depth_map(
        ball(affine, shape, (0, 0, 0)), affine, np.eye(4), render.view_direction(0), 2.0, EXTENT
    )
    picture = render.shade(depth, 2.0, light=(1, 0, 1), background=7)
    assert picture.dtype == np.uint8
    assert (picture[np.isnan(depth)] == 7).all()
    assert picture[25, 42:48].mean() > picture[25, 12:18].mean() + 60
    assert (render.shade(np.full((4, 5), np.nan, np.float32), 2.0, background=9) == 9).all()
