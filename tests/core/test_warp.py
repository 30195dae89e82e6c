"""Smooth maps through matched points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.warp import BiharmonicMap


def test_map_passes_through_its_points(rng):
    source = rng.normal(size=(50, 3)) * 70
    target = source + rng.normal(size=(50, 3))
    assert BiharmonicMap(source, target)(source) == pytest.approx(target, abs=1e-6)


def test_an_affine_map_stays_affine_far_away(rng):
    truth = np.eye(4)
    truth[:3] += rng.normal(size=(3, 4)) * 0.2
    source = rng.normal(size=(50, 3)) * 70
    far = rng.normal(size=(20, 3)) * 500
    mapped = BiharmonicMap(source, apply_affine(truth, source), smoothing=2.0)(far)
    assert mapped == pytest.approx(apply_affine(truth, far), abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 2.0, 30.0])
def test_map_agrees_with_an_independent_implementation(rng, smoothing):
    source = rng.normal(size=(80, 3)) * 70
    target = source + rng.normal(size=(80, 3)) * 3
    points = rng.normal(size=(600, 3)) * 80
    other = RBFInterpolator(source, target, kernel="linear", smoothing=smoothing, degree=1)
    own = BiharmonicMap(source, target, smoothing=smoothing)(points)
    assert own == pytest.approx(other(points), abs=1e-8)
