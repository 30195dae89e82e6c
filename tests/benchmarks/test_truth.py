"""The benchmarks' rulers, held against heads whose answer is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from anonymi_bids.phantoms.library import load_model
from benchmarks.common import counted, summary
from benchmarks.quality import measure, recognise, truth


def ball(size: int = 41, radius: float = 15.0, *, hole: bool = True) -> np.ndarray:
    """Labels of a ball of soft tissue with bone, brain and a closed air cavity inside."""
    grid = np.indices((size,) * 3) - size // 2
    apart = np.sqrt((grid**2).sum(axis=0))
    labels = np.zeros((size,) * 3, np.uint8)
    labels[apart <= radius] = 5
    labels[apart <= radius - 5] = 4
    labels[apart <= radius - 7] = 1
    if hole:
        labels[apart <= 2] = 0
    return labels


def test_skin_is_the_outermost_layer_only() -> None:
    labels = ball()
    skin = truth.outer_skin(labels, np.eye(4))
    grid = np.indices(labels.shape) - 20
    apart = np.sqrt((grid**2).sum(axis=0))
    assert skin[(apart <= 15) & (apart > 14)].all()
    assert not skin[apart < 12].any()  # nothing round the closed cavity, no bone
    assert not skin[apart > 15].any()


def test_skin_is_not_counted_where_the_border_of_the_image_cuts_the_head() -> None:
    labels = ball()[:, :, 15:]
    skin = truth.outer_skin(labels, np.eye(4))
    middle = skin[15:26, 15:26, 0]
    assert not middle.any()
    assert skin[20, 20, -1 - 5]  # the upper pole is skin: 41 - 15 voxels, pole at 20 of them


def test_skin_follows_millimetres_not_voxels() -> None:
    coarse = truth.outer_skin(ball(), np.diag([3.0, 3.0, 3.0, 1]), depth_mm=2.0)
    fine = truth.outer_skin(ball(), np.diag([0.5, 0.5, 0.5, 1]), depth_mm=2.0)
    assert coarse.sum() == 0  # no voxel centre lies within 2 mm of air
    assert fine.sum() > truth.outer_skin(ball(), np.eye(4)).sum()


def test_head_frame_undoes_a_pose() -> None:
    model = load_model()
    turn = truth_pose()
    points = model.mean.astype(float) @ turn[:3, :3].T + turn[:3, 3]
    named = [points[model.points[name]] for name in ("nasion", "lpa", "rpa")]
    frame = truth.head_frame(points[model.landmarks68], *named)
    assert np.allclose(frame[:3, :3], turn[:3, :3], atol=1e-6)
    assert np.allclose(frame[:3, 3], (named[1] + named[2]) / 2)


def truth_pose() -> np.ndarray:
    from scipy.spatial.transform import Rotation

    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", (20, -10, 5), degrees=True).as_matrix()
    pose[:3, 3] = (3, -40, 12)
    return pose


def head_truth(shape: tuple[int, ...]) -> truth.Truth:
    empty = np.zeros(shape, bool)
    face, vault, brain, ear = (empty.copy() for _ in range(4))
    face[0], vault[1], brain[2], ear[3] = True, True, True, True
    thirds = (face & (np.indices(shape)[2] == 0), empty, face & (np.indices(shape)[2] > 0))
    return truth.Truth(np.eye(4), 40.0, -80.0, face, thirds, vault, (ear, empty), brain)


def test_a_release_that_changes_nothing_leaves_all_skin() -> None:
    shape = (5, 4, 4)
    before = np.arange(80, dtype=np.int16).reshape(shape)
    outcome = measure.Outcome(before, before.copy(), np.zeros(shape, bool))
    figures = measure.measure(outcome, head_truth(shape), np.eye(4))
    assert figures["skin_left"] == 1
    assert figures["brain_changed"] == figures["vault_changed"] == figures["outside_changed"] == 0
    assert figures["ears_left"][0] == 1
    assert np.isnan(figures["ears_left"][1])


def test_each_kind_of_harm_is_counted_where_it_is_done() -> None:
    shape = (5, 4, 4)
    before = np.arange(80, dtype=np.int16).reshape(shape)
    after, removed = before.copy(), np.zeros(shape, bool)
    after[0, :, 1:] = -1  # a quarter of the face is left
    after[1, 0, 0] = -1  # one voxel of the vault, not in the mask
    removed[0, :, 1:] = True
    removed[2, 0, :2] = True  # two brain voxels in the mask that happen to keep their value
    figures = measure.measure(
        measure.Outcome(before, after, removed), head_truth(shape), np.eye(4)
    )
    assert figures["skin_left"] == pytest.approx(0.25)
    assert figures["skin_left_thirds"][0] == 1
    assert figures["skin_left_thirds"][2] == 0
    assert figures["vault_changed"] == pytest.approx(1 / 16)
    assert figures["brain_changed"] == 2
    assert figures["outside_changed"] == 1
    assert figures["left_where"][2] == [0, 0]


def test_true_fit_brings_the_landmarks_home() -> None:
    names = ("nasion", "lpa", "rpa", "chin")
    marks = dict(zip(names, np.eye(4, 3) * 90, strict=True))
    pose = truth_pose()
    moved = {name: pose[:3, :3] @ point + pose[:3, 3] for name, point in marks.items()}
    landmarks = np.zeros((68, 3))
    landmarks[8] = moved["chin"]
    phantom = SimpleNamespace(
        nasion=moved["nasion"], lpa=moved["lpa"], rpa=moved["rpa"], landmarks68=landmarks
    )
    fit = measure.true_fit(phantom, marks)  # type: ignore[arg-type]
    offsets = measure.placement(fit, phantom, marks, np.eye(4))  # type: ignore[arg-type]
    assert all(np.allclose(offset, 0, atol=0.01) for offset in offsets.values())


def test_rank_one_needs_a_strict_win() -> None:
    scores = np.array([[3.0, 1, 2], [2, 2, 1], [-np.inf, -np.inf, -np.inf]])
    assert recognise.first_hits(scores).tolist() == [True, False, False]


def test_more_people_may_be_known_than_are_searched() -> None:
    scores = np.array([[3.0, 1, 2, 2], [2, 2.5, 1, 9]])
    assert recognise.first_hits(scores).tolist() == [True, False]


def test_shape_finds_the_same_face_and_not_a_flat_cut() -> None:
    rng = np.random.default_rng(3)
    faces = [rng.normal(size=(30, 30)).astype(np.float32) for _ in range(5)]
    again = [face + 0.1 * rng.normal(size=face.shape).astype(np.float32) for face in faces]
    cut = [np.full((30, 30), np.nan, np.float32)] * 5
    same = recognise.shape_scores(again, faces, centred=False)
    assert recognise.first_hits(same).all()
    assert not recognise.first_hits(recognise.shape_scores(cut, faces, centred=False)).any()


def test_embedding_without_a_face_matches_nobody() -> None:
    known = np.eye(3, 128)
    probes = known.copy()
    probes[1] = np.nan
    scores = recognise.embedding_scores(probes, known)
    assert recognise.first_hits(scores).tolist() == [True, False, True]


def test_summaries_and_rates() -> None:
    assert summary([1.0, None, float("nan"), 3.0]) == {
        "n": 2,
        "mean": 2.0,
        "median": 2.0,
        "min": 1.0,
        "max": 3.0,
    }
    found = counted(0, 32, 1 / 32)
    assert found["upper95_one_sided"] == pytest.approx(0.0894, abs=1e-3)
    assert found["low95"] == 0
