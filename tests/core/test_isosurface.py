from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from anonymi_bids.core.isosurface import closed_surface, describe
from anonymi_bids.core.surface import signed_volume
from anonymi_bids.core.topology import euler_number, is_ball, without_handles

GRID = np.indices((32, 32, 32)) - 15.5


def ball(radius: float = 10.0) -> np.ndarray:
    return (GRID**2).sum(axis=0) < radius**2


def torus() -> np.ndarray:
    ring = np.sqrt(GRID[0] ** 2 + GRID[1] ** 2) - 9
    return ring**2 + GRID[2] ** 2 < 14


def outside(mask: np.ndarray) -> np.ndarray:
    return ndimage.distance_transform_edt(~mask)


@pytest.mark.parametrize(
    ("mask", "number"),
    [(ball(), 1), (torus(), 0), (ball() & ~ball(5), 2), (ball(3) | np.roll(ball(3), 10, 0), 2)],
)
def test_euler_number_counts_pieces_handles_and_cavities(mask: np.ndarray, number: int) -> None:
    assert euler_number(mask) == number
    assert is_ball(mask) == (number == 1)


def test_handle_is_spanned_by_a_thin_wall() -> None:
    mask = torus()
    whole = without_handles(mask, outside(mask))
    assert is_ball(whole)
    assert (whole & mask).sum() == mask.sum()
    # The hole of the ring is about 5 voxels wide: a wall one voxel thick, not a plug.
    assert (whole & ~mask).sum() < 150


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.2, 0.7))
def test_any_blob_becomes_a_ball_that_holds_it(seed: int, share: float) -> None:
    noise = np.random.default_rng(seed).standard_normal((14, 14, 14))
    soft = ndimage.gaussian_filter(noise, 1.0)
    mask = np.pad(soft > np.quantile(soft, 1 - share), 1)
    whole = without_handles(mask, outside(mask))
    assert is_ball(whole)
    assert whole[mask].all()


@pytest.mark.parametrize("axes", [(1, 1, 1), (-1, 1, 1), (1, -2, 0.5)])
def test_ball_has_its_volume_and_faces_outwards(axes: tuple[float, float, float]) -> None:
    affine = np.diag([*axes, 1.0])
    vertices, triangles = closed_surface(ball(), affine, spacing_mm=1.0, smooth_mm=0.8)
    volume = signed_volume(vertices, triangles)
    assert volume == pytest.approx(ball().sum() * abs(np.prod(axes)), rel=0.07)
    figures = describe(vertices, triangles)
    assert (figures["closed"], figures["pieces"], figures["genus"]) == (1, 1, 0)
    assert figures["edge_mean_mm"] < 1.0


def test_surface_of_a_ring_has_no_handle_and_is_closed_at_the_border_of_the_view() -> None:
    for mask in (torus(), ball()[:, :, :16]):
        figures = describe(*closed_surface(mask, np.eye(4), spacing_mm=1.0))
        assert (figures["closed"], figures["genus"]) == (1, 0)


def test_surface_lies_where_the_mask_ends() -> None:
    radius = 10.0
    vertices, _ = closed_surface(ball(radius), np.eye(4), spacing_mm=1.0, smooth_mm=1.0)
    apart = np.linalg.norm(vertices - 15.5, axis=1) - radius
    assert abs(apart.mean()) < 0.3
    assert np.abs(apart).max() < 0.9


def test_description_sees_an_open_mesh_and_a_handle() -> None:
    vertices, triangles = closed_surface(ball(), np.eye(4), spacing_mm=2.0)
    assert describe(vertices, triangles[1:])["closed"] == 0
    u, v = (a.ravel() for a in np.indices((20, 12)))
    ring = lambda i, j: (i % 20) * 12 + j % 12  # noqa: E731
    first = np.column_stack([ring(u, v), ring(u + 1, v), ring(u + 1, v + 1)])
    second = np.column_stack([ring(u, v), ring(u + 1, v + 1), ring(u, v + 1)])
    assert describe(np.zeros((240, 3)), np.concatenate([first, second]))["genus"] == 1


def test_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        closed_surface(np.zeros((5, 5, 5), bool), np.eye(4))
