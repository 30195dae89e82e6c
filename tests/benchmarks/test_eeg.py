"""Measures of the EEG benchmark give known answers."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.core.isosurface import describe
from benchmarks.eeg import forward, meshes

GRID = np.indices((60, 60, 60)) * 4.0 - 118.0
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = -118.0


def test_star_shaped_mesh_of_a_ball_has_its_radius() -> None:
    towards, triangles = meshes.directions(200)
    ball = (GRID**2).sum(axis=0) < 80.0**2
    radius = meshes.radii(ball, AFFINE, np.zeros(3), towards)
    assert np.abs(radius - 80).max() < 3
    layer = meshes.Layer(towards, triangles, np.full(200, 80.0))
    figures = describe(layer.vertices(), triangles)
    assert (figures["closed"], figures["genus"]) == (1, 0)
    along = forward.along(layer, towards[:7])
    np.testing.assert_allclose(along, 80.0)


def test_rdm_and_magnitude_tell_shape_from_strength() -> None:
    rng = np.random.default_rng(0)
    gain = rng.standard_normal((19, 30))
    same = forward.compare(gain, gain)
    assert same["rdm_max"] == same["lnmag_max"] == 0
    louder = forward.compare(gain, 2 * gain)
    assert louder["rdm_max"] == pytest.approx(0, abs=1e-12)
    assert louder["lnmag_median"] == pytest.approx(np.log(2))
    assert forward.compare(gain, -gain)["rdm_median"] == pytest.approx(2)
