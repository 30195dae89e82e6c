"""The packaged atlas is what its documentation says, and the builder does what it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.cli.atlas import main
from anonymi_bids.core.grid import apply_affine
from anonymi_bids.errors import InputError
from anonymi_bids.head import build, regions
from anonymi_bids.head.atlas import Atlas, load_atlas
from anonymi_bids.model import Image


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return load_atlas()


def value(mask: Image, point: np.ndarray) -> bool:
    index = np.rint(apply_affine(np.linalg.inv(mask.affine), point)).astype(int)
    return bool(mask.data[tuple(index)])


def test_frame_and_landmarks(atlas: Atlas) -> None:
    marks = atlas.landmarks
    assert set(marks) == {
        "nasion", "lpa", "rpa", "nose_tip", "chin", "brow", "vertex", "eye_left", "eye_right",
    }  # fmt: skip
    np.testing.assert_allclose(marks["lpa"] + marks["rpa"], 0, atol=0.2)
    assert marks["rpa"][0] > 60
    assert marks["eye_right"][0] > 20
    assert marks["nose_tip"][1] > marks["nasion"][1] > 80
    assert marks["vertex"][2] > marks["brow"][2] > marks["nasion"][2] > marks["nose_tip"][2]
    assert marks["nose_tip"][2] > marks["chin"][2] > -110
    assert atlas.labels.voxel_sizes.max() <= 1.5


def test_landmarks_lie_on_the_skin(atlas: Atlas) -> None:
    depth = ndimage.distance_transform_edt(atlas.head.data, sampling=1.5)
    height = ndimage.distance_transform_edt(~atlas.head.data, sampling=1.5)
    inverse = np.linalg.inv(atlas.head.affine)
    for name in ("nasion", "lpa", "rpa", "nose_tip", "chin", "brow", "vertex"):
        index = tuple(np.rint(apply_affine(inverse, atlas.landmarks[name])).astype(int))
        assert depth[index] + height[index] < 5, name


def test_atlas_is_symmetric(atlas: Atlas) -> None:
    np.testing.assert_array_equal(atlas.head.data, atlas.head.data[::-1])
    np.testing.assert_array_equal(atlas.ear_left.data, atlas.ear_right.data[::-1])


def test_there_is_room_for_larger_noses_and_ears(atlas: Atlas) -> None:
    filled = np.argwhere(atlas.head.data)
    sizes = atlas.head.voxel_sizes
    air = (np.array(atlas.head.data.shape) - 1 - filled.max(axis=0)) * sizes
    assert air[0] >= 25
    assert air[1] >= 25
    assert air[2] >= 20
    front = np.array([0, atlas.landmarks["nose_tip"][1] + 25, atlas.landmarks["nose_tip"][2]])
    assert value(atlas.face, front)


def test_face_holds_the_face_and_not_the_vault(atlas: Atlas) -> None:
    marks = atlas.landmarks
    for name in ("nasion", "nose_tip", "chin", "brow", "eye_left", "eye_right", "lpa", "rpa"):
        assert value(atlas.face, marks[name]), name
    assert value(atlas.face, marks["chin"] + (0, 0, -20))
    assert not value(atlas.face, marks["vertex"])
    assert not value(atlas.face, marks["brow"] + (0, -3, 20))
    assert not value(atlas.face, np.array([0, -80.0, 0]))


def test_ears_lie_beside_the_head_and_hold_no_brain(atlas: Atlas) -> None:
    for ear, mark in ((atlas.ear_left, "lpa"), (atlas.ear_right, "rpa")):
        assert value(ear, atlas.landmarks[mark] * (1.15, 1, 1) + (0, -15, 5))
        assert not (ear.data & atlas.brain.data).any()
        ear_x = apply_affine(ear.affine, np.argwhere(ear.data))[:, 0]
        assert (np.sign(ear_x) == np.sign(atlas.landmarks[mark][0])).all()


def test_brain_is_one_piece_of_a_plausible_size(atlas: Atlas) -> None:
    litres = atlas.brain.data.sum() * 1.5**3 / 1e6
    assert 1.2 < litres < 1.7
    assert ndimage.label(atlas.brain.data)[1] == 1
    assert not (atlas.brain.data & ~atlas.head.data).any()


def ellipsoid(grid: np.ndarray, centre: tuple[float, ...], axes: tuple[float, ...]) -> np.ndarray:
    return (((grid - centre) / axes) ** 2).sum(-1) <= 1


def test_voting_takes_the_majority_and_mirrors() -> None:
    affine, shape = build.working_grid(6.0)
    places = build._points(affine, shape, np.eye(4))
    heads = []
    for shift in (-6.0, 0.0, 6.0):
        labels = np.zeros(shape, np.uint8)
        labels[ellipsoid(places, (shift, 0, 0), (70, 90, 90))] = 5
        labels[ellipsoid(places, (shift, 0, 20), (60, 70, 60))] = 4
        labels[ellipsoid(places, (shift, 0, 20), (50, 60, 50))] = 2
        heads.append(build.Head("made", Image(labels, affine), frozenset({2, 4, 5})))
    average = build.average_heads(heads, [places] * 3, affine)
    labels = average.labels.data
    np.testing.assert_array_equal(labels, labels[::-1])
    middle = heads[1].labels.data
    assert ((labels > 0) != (middle > 0)).mean() < 0.01
    assert ((labels == 2) != (middle == 2)).mean() < 0.01
    assert set(np.unique(labels)) == {0, 2, 4, 5, 8}


def test_a_field_and_its_inverse_undo_each_other() -> None:
    affine, shape = build.working_grid(12.0)
    places = build._points(affine, shape, np.eye(4))
    field = (6 * np.sin(places / 40)).astype(np.float32)
    back = build._invert(field, affine)
    round_trip = back + build._sample_field(field, affine, places + back)
    assert np.abs(round_trip[3:-3, 3:-3, 3:-3]).max() < 0.2


def test_face_region_follows_the_landmarks() -> None:
    marks = {
        "brow": np.array([0.0, 95, 40]),
        "chin": np.array([0.0, 100, -70]),
        "lpa": np.array([-75.0, 0, 0]),
    }
    affine, shape = regions.atlas_grid()
    face = Image(regions.face_region(marks, affine, shape), affine)
    assert value(face, np.array([0, 150.0, 44]))
    assert not value(face, np.array([0, 90.0, 52]))
    assert not value(face, np.array([0, -10.0, 0]))
    assert not value(face, np.array([0, 10.0, -110]))
    assert value(face, np.array([0, 120.0, -110]))


def test_a_missing_head_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match="mghangel001_dseg"):
        build.read_heads(tmp_path)


def test_the_command_says_what_is_missing_and_returns_2(tmp_path, capsys) -> None:
    assert main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "mghangel001_dseg" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
