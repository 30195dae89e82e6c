"""Portraits of a digital person, and the shipped recogniser on them."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.audit import portraits
from anonymi_bids.audit.recogniser import load_recogniser, recogniser_if_any, unit
from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.shape import similarity
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.model import Image
from anonymi_bids.phantoms.quick import quick_head


class Even:
    """Sees no face; its vector is the picture's mean and spread."""

    name = "even"

    def find(self, picture: np.ndarray) -> None:
        return None

    def embed(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        return unit(np.array([picture.mean(), picture.std(), 1.0]))


@pytest.fixture(scope="module")
def head() -> tuple[Image, np.ndarray, np.ndarray]:
    """Image, atlas → image by true landmarks, and the 68 landmarks."""
    phantom, atlas = quick_head(2.0), load_atlas()
    names = ("nasion", "lpa", "rpa", "chin")
    target = [phantom.nasion, phantom.lpa, phantom.rpa, phantom.landmarks68[8]]
    place = similarity(np.stack([atlas.landmarks[name] for name in names]), np.stack(target))
    return phantom.image, place, phantom.landmarks68


def test_landmarks_lie_where_the_face_is(head) -> None:
    image, place, true = head
    atlas = load_atlas()
    found = portraits.landmarks_in_head(atlas, place)
    true = apply_affine(np.linalg.inv(portraits.head_frame(atlas, place)), true)
    assert np.linalg.norm(found - true, axis=1).mean() < 8


def test_all_portraits_differ_and_show_the_head(head) -> None:
    image, place, _ = head
    drawn = list(portraits.portraits(image, load_atlas(), place, full=True))
    assert len(drawn) == portraits.N_FULL == 81
    assert len({entry.view for entry in drawn}) == 81
    assert len({entry.picture.tobytes() for entry in drawn}) == 81
    assert sum(entry.front for entry in drawn) == len(portraits.THRESHOLDS)
    quick = list(portraits.portraits(image, load_atlas(), place, full=False))
    assert len(quick) == portraits.N_QUICK == 9
    same = {entry.view: entry.picture for entry in drawn}
    for entry in quick:
        np.testing.assert_array_equal(entry.picture, same[entry.view])
    for entry in drawn:
        columns, rows = entry.landmarks.T
        assert rows.min() > 0
        assert rows.max() < entry.picture.shape[0]
        assert entry.picture[rows.mean().astype(int), columns.mean().astype(int)] > 0


def test_features_keep_vectors_and_no_picture(head) -> None:
    image, place, _ = head
    air = np.random.default_rng(1).normal(size=300)
    found = portraits.face_features(image, load_atlas(), place, air, Even(), full=False)
    assert found["embedding"].shape == (9, 3)
    assert np.isnan(found["detector"][0])
    assert max(value.size for value in found.values()) < 100
    nothing = portraits.air_picture(air, (50, 41))
    assert nothing.shape == (50, 41)
    assert nothing.std() > 20


@pytest.fixture(scope="module")
def dlib():
    if recogniser_if_any("dlib") is None:
        pytest.skip("the extra [faces] (dlib) is not installed")
    return load_recogniser("dlib")


def test_dlib_sees_a_face_and_is_nearer_to_the_same_head(head, dlib) -> None:
    image, place, _ = head
    front = [e for e in portraits.portraits(image, load_atlas(), place, full=False) if e.front]
    found = dlib.find(front[0].picture)
    assert found is not None
    assert np.linalg.norm(found.landmarks - front[0].landmarks, axis=1).mean() < 15
    vectors = [dlib.embed(entry.picture, entry.landmarks) for entry in front]
    at_found = dlib.embed(front[0].picture, found.landmarks)
    nothing = dlib.embed(np.zeros_like(front[0].picture), front[0].landmarks)
    assert dlib.find(np.zeros_like(front[0].picture)) is None
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ at_found > 0.95
    assert vectors[0] @ at_found > vectors[0] @ nothing
