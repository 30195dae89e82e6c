"""Meshes with a known answer: spheres and boxes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from anonymi_bids.core.surface import (
    cap_openings,
    opening_rims,
    pieces,
    signed_volume,
    vertex_normals,
    voxelise,
    with_centres,
)


def ball(radius: float, centre=(0.0, 0.0, 0.0), n: int = 800):
    """Sphere from a golden spiral, triangles outwards."""
    k = np.arange(n) + 0.5
    z, turn = 1 - 2 * k / n, np.pi * (1 + 5**0.5) * k
    points = np.stack(
        [np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], axis=1
    )
    triangles = ConvexHull(points).simplices
    corners = points[triangles]
    out = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = np.einsum("ij,ij->i", out, corners.mean(axis=1)) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return points * radius + np.asarray(centre), triangles


def grid(code: str, spacing: float, n: int) -> np.ndarray:
    table = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, letter in enumerate(code):
        row, sign = table[letter]
        affine[row, column] = sign * spacing
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, (n - 1) / 2)
    return affine


CODES = [
    "".join(letters)
    for order in itertools.permutations(["RL", "AP", "SI"])
    for letters in itertools.product(*order)
]


@pytest.mark.parametrize("code", CODES)
def test_voxelise_gives_the_volume_in_every_orientation(code):
    points, triangles = ball(20)
    share = voxelise(points, triangles, grid(code, 2.0, 25), (25, 25, 25))
    assert share.sum() * 8 == pytest.approx(signed_volume(points, triangles), rel=2e-3)
    assert share[12, 12, 12] == 1
    assert share[0, 0, 0] == 0


def test_voxelise_is_exact_where_a_plane_cuts_voxels():
    low, high = np.array([-3.0, -3.0, -2.3]), np.array([3.0, 3.0, 1.4])
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))))
    triangles = ConvexHull(corners).simplices
    c = corners[triangles]
    out = np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0])
    flip = np.einsum("ij,ij->i", out, c.mean(axis=1) - corners.mean(axis=0)) < 0
    triangles[flip] = triangles[flip][:, ::-1]
    share = voxelise(corners, triangles, grid("RAS", 1.0, 11), (11, 11, 11))
    assert share[5, 5] == pytest.approx([0, 0, 0, 0.8, 1, 1, 0.9, 0, 0, 0, 0], abs=1e-5)


def test_overlapping_pieces_unite():
    a, triangles = ball(10, (-4, 0, 0))
    b, _ = ball(10, (4, 0, 0))
    both = np.concatenate([a, b])
    share = voxelise(
        both, np.concatenate([triangles, triangles + len(a)]), grid("RAS", 1.0, 41), (41,) * 3
    )
    lens = 2 * np.pi * (10 - 4) ** 2 * (3 * 10 - 6) / 3
    assert share.max() == 1
    assert share.sum() == pytest.approx(2 * 4 / 3 * np.pi * 1000 - lens, rel=0.01)


def test_a_mesh_beyond_the_grid_fills_what_is_seen():
    points, triangles = ball(50)
    share = voxelise(points, triangles, grid("LPS", 2.0, 9), (9, 9, 9))
    assert np.all(share == 1)


def test_openings_are_found_and_closed():
    points, triangles = ball(10)
    top = points[triangles].mean(axis=1)[:, 2] > 8
    cut = triangles[~top]
    assert len(opening_rims(cut, len(points))) == 1
    closed, rims = cap_openings(cut, len(points))
    assert opening_rims(closed, len(points) + 1) == []
    whole, lost = signed_volume(points, triangles), np.pi * 2**2 * (30 - 2) / 3
    assert signed_volume(with_centres(points, rims), closed) == pytest.approx(
        whole - lost, rel=0.01
    )


def test_pieces_are_told_apart():
    points, triangles = ball(10)
    number = pieces(np.concatenate([triangles, triangles + len(points)]), 2 * len(points))
    assert np.array_equal(number, np.repeat([0, 1], len(points)))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 30), st.tuples(*[st.floats(-50, 50)] * 3))
def test_normals_of_a_ball_point_away_from_its_centre(radius, centre):
    points, triangles = ball(radius, centre)
    normals = vertex_normals(points, triangles)
    away = (points - np.asarray(centre)) / radius
    assert np.einsum("ij,ij->i", normals, away).min() > 0.99
