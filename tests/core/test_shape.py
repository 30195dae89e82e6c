"""The shape model and its fit."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.shape import affinity, fit_model, similarity, spread
from anonymi_bids.core.surface import opening_rims, signed_volume, vertex_normals
from anonymi_bids.phantoms.library import load_model


def turn(degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    return matrix


def test_similarity_recovers_a_known_motion(rng):
    truth = turn(40)
    truth[:3, :3] *= 1.3
    truth[:3, 3] = (3, -8, 20)
    points = rng.normal(size=(30, 3)) * 40
    assert similarity(points, apply_affine(truth, points)) == pytest.approx(truth, abs=1e-9)


def test_similarity_never_mirrors(rng):
    points = rng.normal(size=(30, 3))
    mirrored = points * [-1, 1, 1]
    assert np.linalg.det(similarity(points, mirrored)[:3, :3]) > 0


def test_affinity_recovers_a_known_map(rng):
    truth = np.eye(4)
    truth[:3] = rng.normal(size=(3, 4))
    points = rng.normal(size=(30, 3))
    assert affinity(points, apply_affine(truth, points)) == pytest.approx(truth, abs=1e-9)


def test_spread_takes_one_point_a_cell():
    points = np.array([[0.1, 0, 0], [0.2, 0, 0], [5, 0, 0]])
    assert spread(points, 1.0).tolist() == [0, 2]


def test_model_is_a_closed_head_with_named_points():
    model = load_model()
    closed = model.close(model.mean)
    assert opening_rims(model.closed, len(closed)) == []
    assert 4e6 < signed_volume(closed, model.closed) < 7e6
    nasion, lpa, rpa = (model.mean[model.points[name]] for name in ("nasion", "lpa", "rpa"))
    assert abs(nasion[0]) < 1
    assert nasion[1] > 90
    assert lpa[0] < -60 < 60 < rpa[0]
    assert lpa[1:] == pytest.approx(rpa[1:], abs=2)
    assert set(np.sign(model.mean[model.ear == 1, 0])) == {-1}
    # Landmark 0 is the jaw's end at the person's right, 8 the chin, 30 the nose tip.
    assert model.mean[model.landmarks68[0], 0] > 50
    assert model.landmarks68[30] in np.argsort(model.mean[:, 1])[-20:]


def test_coefficients_move_vertices_linearly(rng):
    model = load_model()
    one, two = rng.normal(size=(2, 5))
    left = model.vertices(one) + model.vertices(two) - model.mean
    assert left == pytest.approx(model.vertices(one + two), abs=1e-3)
    assert model.vertices([]) == pytest.approx(model.mean)


def test_sample_is_seeded_and_bounded():
    model = load_model()
    one, two = (model.sample(np.random.default_rng(3), limit=1.0) for _ in range(2))
    assert np.array_equal(one, two)
    assert np.abs(one).max() <= 1
    assert len(one) == model.n_modes


def test_steady_vertices_leave_out_ears_eyes_and_rims():
    model = load_model()
    steady = model.steady()
    assert not steady[model.ear > 0].any()
    assert not steady[model.part > 1].any()
    assert not steady[np.concatenate(model.rims)].any()
    assert steady[model.landmarks68[[8, 27, 30]]].all()


def test_fit_finds_a_moved_person(rng):
    model = load_model()
    person = model.vertices(np.clip(rng.standard_normal(model.n_modes), -1.5, 1.5))
    motion = turn(6)
    motion[:3, :3] *= 0.95
    motion[:3, 3] = (4, -6, 9)
    skin = apply_affine(motion, person)
    chosen = np.flatnonzero(model.part <= 1)[::2]
    normals = vertex_normals(skin, model.triangles)
    fit = fit_model(model, skin[chosen], normals[chosen], np.eye(4), smoothing=(5.0,))
    apart = np.linalg.norm(fit.vertices - skin, axis=1)[model.steady()]
    assert np.median(fit.distance_mm) < 0.1
    assert np.median(apart) < 1.5
    assert np.percentile(apart, 95) < 4
