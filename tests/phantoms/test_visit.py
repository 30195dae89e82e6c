"""People and their visits: anatomy in its place, truth that agrees, every orientation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, spatial

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.phantoms import inside
from anonymi_bids.phantoms.library import HEADS, load_model, load_template
from anonymi_bids.phantoms.paint import CONTRASTS
from anonymi_bids.phantoms.person import face_weight, make_person
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.scan import ORIENTATIONS
from anonymi_bids.phantoms.visit import Protocol, make_visit

COARSE = Protocol(spacing_mm=3.0, orientation="RAS")


@pytest.fixture(scope="module")
def scan():
    return make_visit(make_person(3), "T1w", 0, protocol=COARSE)


def value_at(phantom, labels, points):
    voxels = np.rint(apply_affine(np.linalg.inv(phantom.image.affine), points)).astype(int)
    return labels[tuple(voxels.T)]


@pytest.mark.parametrize("code", [*ORIENTATIONS, "SRA", "IPL", "RSP", "ARI"])
def test_every_orientation_holds_a_head_with_a_brain(code):
    protocol = Protocol(spacing_mm=5.0, orientation=code)
    phantom = make_visit(make_person(1), "T1w", 0, protocol=protocol)
    assert 700 < phantom.truth()["brain_ml"] < 1700
    white = phantom.image.data[phantom.labels.data == 1].mean()
    air = phantom.image.data[phantom.labels.data == 0].mean()
    assert white > 5 * air
    # The truth lies where the image is: chin, nose and fiducials are at the border of the head.
    inside = phantom.labels.data > 0
    border = inside & ~ndimage.binary_erosion(inside)
    places = apply_affine(phantom.image.affine, np.argwhere(border))
    away, _ = spatial.cKDTree(places).query(
        np.stack([phantom.nasion, phantom.lpa, phantom.rpa, phantom.landmarks68[30]])
    )
    assert away.max() < 8


def test_visits_keep_the_brain_and_move_the_head(scan):
    other = make_visit(make_person(3), "T1w", 1, protocol=COARSE)
    one, two = scan.truth()["brain_ml"], other.truth()["brain_ml"]
    assert two == pytest.approx(one, rel=0.01)
    assert not np.allclose(scan.head_to_image, other.head_to_image, atol=0.05)


def test_contrasts_of_a_visit_lie_on_each_other(scan):
    other = make_visit(make_person(3), "FLAIR", 0, protocol=COARSE)
    apart = np.linalg.norm(scan.landmarks68 - other.landmarks68, axis=1)
    assert 0 < apart.max() < 5


def test_the_same_seed_gives_the_same_bytes(scan):
    again = make_visit(make_person(3), "T1w", 0, protocol=COARSE)
    assert np.array_equal(scan.image.data, again.image.data)
    assert np.array_equal(scan.labels.data, again.labels.data)


def test_people_differ():
    one, two = make_person(1), make_person(2)
    assert np.abs(one.vertices - two.vertices).max() > 5


def test_anatomy_is_in_its_place(scan):
    labels = scan.labels.data
    brain = scan.brain_and_csf
    filled = ndimage.binary_fill_holes(labels > 0)
    depth = ndimage.distance_transform_edt(filled, sampling=scan.image.voxel_sizes)
    high = apply_affine(scan.image.affine, np.argwhere(brain))[:, 2] > scan.nasion[2]
    # Above the nasion the brain keeps a few mm of bone and scalp to the air.
    assert np.percentile(depth[brain][high], 1) > 4
    eyes = labels == 6
    ml = eyes.sum() * np.prod(scan.image.voxel_sizes) / 1000
    assert 8 < ml < 17
    # Bone lies between brain and skin: along a line from the vertex down.
    top = scan.vertices[scan.vertices[:, 2].argmax()]
    inward = np.linspace(0, 1, 60)[:, None] * (0, 0, -30) + top
    met = value_at(scan, labels, inward[4:])
    assert 4 in met
    assert np.flatnonzero(met == 4)[0] < np.flatnonzero(np.isin(met, (1, 2, 3)))[0]


def test_the_skin_lies_where_the_image_changes(scan):
    share = ndimage.gaussian_filter((scan.labels.data > 0).astype(float), 0.5)
    model = load_model()
    steady = model.steady() & (scan.vertices[: len(model.mean), 2] > scan.landmarks68[8][2])
    voxels = apply_affine(
        np.linalg.inv(scan.image.affine), scan.vertices[: len(model.mean)][steady]
    )
    at = ndimage.map_coordinates(share, voxels.T, order=1)
    assert np.median(np.abs(at - 0.5)) < 0.15


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_every_contrast_can_be_scanned(contrast):
    protocol = Protocol(spacing_mm=5.0, orientation="LPS")
    phantom = make_visit(make_person(5), contrast, 0, protocol=protocol)
    assert phantom.brain.sum() > 0
    assert np.isfinite(phantom.image.data).all()
    assert phantom.image.data[phantom.brain].std() > 0


def test_thick_slices_are_averages_on_the_same_head(scan):
    thick = Protocol(spacing_mm=(4.0, 4.0, 6.0), orientation="LPS", below_chin_mm=0.0)
    phantom = make_visit(make_person(3), "T1w", 0, protocol=thick)
    assert phantom.image.voxel_sizes == pytest.approx([4, 4, 6])
    assert phantom.labels.data.shape == phantom.image.data.shape
    assert phantom.truth()["brain_ml"] == pytest.approx(scan.truth()["brain_ml"], rel=0.03)


def test_uncoupled_people_join_the_face_of_one_to_the_vault_of_another():
    model = load_model()
    coupled, uncoupled = make_person(4), make_person(4, uncoupled=True)
    assert coupled.sex == uncoupled.sex
    weight = face_weight(model)
    assert weight[model.landmarks68].min() > 0.99
    assert weight[model.ear > 0].max() < 0.2
    assert weight[model.mean[:, 2] > 81.5].max() == 0
    size = np.ptp(coupled.vertices, axis=0) / np.ptp(uncoupled.vertices, axis=0)
    assert size == pytest.approx(1, abs=0.2)
    vault = model.mean[:, 2] > 90
    assert np.abs(coupled.vertices - uncoupled.vertices)[vault].mean() > 1
    # Smooth at the border: edges are not torn.
    edges = model.triangles[:, :2]
    stretch = np.linalg.norm(np.diff(uncoupled.vertices[edges], axis=1), axis=2) / np.linalg.norm(
        np.diff(coupled.vertices[edges], axis=1), axis=2
    )
    assert np.percentile(stretch, 99.5) < 2.5


@pytest.mark.parametrize("head", HEADS)
def test_quick_head_has_a_face_and_a_brain(head):
    phantom = quick_head(4.0, "T1w", seed=1, head=head)
    assert 1000 < phantom.truth()["brain_ml"] < 1400
    points = np.stack([phantom.nasion, phantom.lpa, phantom.rpa])
    assert points[0, 1] > points[1:, 1].max() + 60
    assert points[1, 0] < points[0, 0] < points[2, 0]
    assert np.array_equal(phantom.image.data, quick_head(4.0, "T1w", seed=1, head=head).image.data)


def test_moved_takes_all_truth_along(scan):
    motion = np.eye(4)
    motion[:3, 3] = (10, 20, 30)
    moved = scan.moved(motion)
    assert moved.nasion == pytest.approx(scan.nasion + (10, 20, 30))
    assert np.array_equal(
        value_at(scan, scan.labels.data, scan.landmarks68),
        value_at(moved, moved.labels.data, moved.landmarks68),
    )


@pytest.mark.parametrize("head", HEADS)
def test_no_muscle_touches_the_brain_above_the_skull_base(head: str) -> None:
    """Holes of the label maps would let grey values leak from the brain into the temples."""
    tissues, _ = inside._template_tissues(head)
    brain = np.isin(tissues, (1, 2, 3, 9))
    area = brain.sum(axis=(0, 1))
    above = (area > 0.4 * area.max())[None, None, :]
    touching = ndimage.binary_dilation(brain) & (tissues == 5) & above
    assert not touching.any()
    assert (np.isin(load_template(head).labels.data, (1, 2, 3, 9)) == brain).all()
