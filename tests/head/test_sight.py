"""Finding a head by the network: right where it is right, and unsure where it is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.register import rigid_matrix, take_apart
from anonymi_bids.errors import NotAHead
from anonymi_bids.head import find, sight
from anonymi_bids.head.atlas import Atlas, load_atlas
from anonymi_bids.head.network import CENTRE_ATLAS_MM, GRID_SHAPE, HeadMap, grid_at
from anonymi_bids.model import HeadFit, HeadStatus, Image

from .maps import looker, perfect_map, scan_of

WHOLE = {"face_in_view": 1.0, "brain_in_view": 1.0, "shell_filled": 1.0, "face_filled": 1.0}
POSE = rigid_matrix((8, -5, 12), (6.0, -14.0, 9.0))


def see(monkeypatch: pytest.MonkeyPatch, image: Image, **spoil: Any) -> sight.Sight:
    monkeypatch.setattr(sight, "look", looker(load_atlas(), POSE, **spoil))
    return sight.see_head(image, load_atlas(), None)


def test_a_perfect_answer_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = see(monkeypatch, scan_of(load_atlas(), POSE))
    assert found.confidence == 1.0
    assert sight.apart_mm(found.atlas_to_image, POSE, load_atlas()) < 0.5
    fit = find.fit_of(found)
    assert fit.status == "head"
    assert fit.figures["by_network"] == 1


def test_an_answer_that_differs_in_the_mirror_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = see(monkeypatch, scan_of(load_atlas(), POSE), mirror_shift=(0, 18, 0))
    assert found.figures["flip_mm"] == pytest.approx(18, abs=0.5)
    assert found.confidence == 0.0


def test_a_brain_that_differs_in_the_mirror_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = iter(range(9))

    def every_other(seen: HeadMap) -> HeadMap:
        if next(turn) % 2 == 0:
            return seen
        shares = seen.shares.copy()
        shares[:, :, :64] = 0
        shares[5, :, :64] = 1
        return replace(seen, shares=shares)

    pose = rigid_matrix((0, 5, 0), (0.0, 0.0, 0.0))
    monkeypatch.setattr(sight, "look", looker(load_atlas(), pose, change=every_other))
    found = sight._with_mirror(
        scan_of(load_atlas(), pose),
        load_atlas(),
        None,
        sight._judged(
            sight.look(scan_of(load_atlas(), pose), None, grid_at((0, 8, 20))), load_atlas()
        ),
    )
    assert found.figures["flip_dice"] < 0.8
    assert found.confidence == 0


def test_coordinates_without_an_affine_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def crooked(seen: HeadMap) -> HeadMap:
        bent = seen.coordinates.copy()
        bent[1] += 25 * np.sin(bent[2] / 15)
        return replace(seen, coordinates=bent)

    found = see(monkeypatch, scan_of(load_atlas(), POSE), change=crooked)
    assert found.figures["residual_mm"] > 10
    assert found.confidence == 0.0


def test_a_brain_elsewhere_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(seen: HeadMap) -> HeadMap:
        return replace(seen, shares=np.roll(seen.shares, 25, axis=2))

    found = see(monkeypatch, scan_of(load_atlas(), POSE), change=shifted)
    assert found.figures["brain_dice"] < 0.7
    assert found.confidence == 0.0


def test_landmarks_elsewhere_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(seen: HeadMap) -> HeadMap:
        return replace(
            seen, landmarks={name: place + (0, 0, 25) for name, place in seen.landmarks.items()}
        )

    found = see(monkeypatch, scan_of(load_atlas(), POSE), change=shifted)
    assert found.figures["landmark_mm"] == pytest.approx(25, abs=1)
    assert found.confidence == 0.0


def test_a_head_hidden_by_a_wrong_header_is_seen_from_a_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = scan_of(load_atlas(), POSE)
    turn = take_apart(POSE)[0]
    hidden = see(monkeypatch, image, only_upright=turn)
    assert hidden.confidence < 0.5
    found = sight.see_head(image, load_atlas(), None, start=POSE)
    assert found.confidence == 1.0
    np.testing.assert_allclose(found.seen.affine[:3, :3], 2 * turn, atol=1e-6)


def test_the_second_look_is_upright(monkeypatch: pytest.MonkeyPatch) -> None:
    pose = rigid_matrix((24, -5, 18), (6.0, -14.0, 9.0))
    monkeypatch.setattr(sight, "look", looker(load_atlas(), pose))
    found = sight.see_head(scan_of(load_atlas(), pose), load_atlas(), None)
    np.testing.assert_allclose(found.seen.affine[:3, :3], 2 * take_apart(pose)[0], atol=1e-3)


@pytest.mark.parametrize(("degrees", "looks"), [(15.0, 2), (30.0, 3)])
def test_an_upright_head_in_the_middle_is_looked_at_twice(
    monkeypatch: pytest.MonkeyPatch, degrees: float, looks: int
) -> None:
    pose = rigid_matrix((0, degrees, 0), (0.0, 0.0, 0.0))
    once, seen = looker(load_atlas(), pose), []

    def look(*args: Any, **options: Any) -> HeadMap:
        seen.append(options.get("mirrored", False))
        return once(*args, **options)

    monkeypatch.setattr(sight, "look", look)
    monkeypatch.setattr(sight, "first_centre", lambda _: apply_affine(pose, CENTRE_ATLAS_MM))
    found = sight.see_head(scan_of(load_atlas(), pose), load_atlas(), None)
    assert seen == [False] * (looks - 1) + [True]
    assert found.confidence == 1


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_empty_image_is_no_head(value: float) -> None:
    with pytest.raises(NotAHead):
        sight.first_centre(Image(np.full((20, 20, 20), value, np.float32), np.eye(4)))


@settings(max_examples=10, deadline=None)
@given(shift=st.tuples(*[st.integers(-20, 20)] * 3))
def test_the_first_centre_moves_with_the_head(shift: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(0, 1, (90, 90, 90)).astype(np.float32)
    places = np.moveaxis(np.indices(data.shape), 0, -1)
    data[np.linalg.norm(places - 45 - np.array(shift), axis=-1) < 18] += 100
    centre = sight.first_centre(Image(np.abs(data), np.diag([3.0, 3.0, 3.0, 1.0])))
    np.testing.assert_allclose(centre, 3 * (45 + np.array(shift)), atol=6)


def test_a_stripped_head_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def stripped(seen: HeadMap) -> HeadMap:
        shares = seen.shares.copy()
        outside = shares[1] + shares[2] < 0.5
        shares[:, outside] = 0
        shares[0, outside] = 1
        return replace(seen, shares=shares)

    found = see(monkeypatch, scan_of(load_atlas(), POSE), change=stripped)
    assert find.fit_of(found).status == "stripped"


def test_a_missing_face_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def defaced(seen: HeadMap) -> HeadMap:
        shares = seen.shares.copy()
        gone = seen.regions[0] > 0.5
        shares[:, gone] = 0
        shares[0, gone] = 1
        return replace(seen, shares=shares)

    found = see(monkeypatch, scan_of(load_atlas(), POSE), change=defaced)
    assert find.fit_of(found).status == "defaced"


def test_a_field_of_view_without_a_face_is_partial(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = scan_of(load_atlas(), POSE)
    low = int(apply_affine(np.linalg.inv(scan.affine), apply_affine(POSE, (0, 0, 30)))[2])
    affine = scan.affine.copy()
    affine[:3, 3] = apply_affine(affine, (0, 0, low))
    found = see(monkeypatch, Image(scan.data[:, :, low:], affine))
    assert find.fit_of(found).status == "partial"


def test_network_and_registration_that_contradict_find_no_head() -> None:
    atlas = load_atlas()
    image = scan_of(atlas, POSE)
    seen = perfect_map(atlas, POSE, grid_at(apply_affine(POSE, (0, 8, 20))), image)
    unsure = sight.Sight(seen, POSE, 0.5, WHOLE)
    other = POSE.copy()
    other[:3, 3] += (0, 30, 0)
    fit = HeadFit(other, 0.9, "head", "A head with its face was found.", {})
    against = find.confronted(fit, unsure, atlas, image)
    assert against.status == "no_head"
    assert against.confidence == 0
    assert "30 mm apart" in against.sentence
    near = find.confronted(replace(fit, atlas_to_image=POSE), unsure, atlas, image)
    assert near.status == "head"
    blind = find.confronted(fit, replace(unsure, confidence=0.1), atlas, image)
    assert blind.status == "head"


@pytest.mark.parametrize(
    ("confidence", "shift_mm", "starts", "status"),
    [
        (0.95, 0, ["network"], "head"),
        (0.95, 40, ["network", "search"], "no_head"),
        (0.6, 40, ["search"], "no_head"),
        (0.6, 0, ["search"], "head"),
        (0.1, 40, ["search"], "head"),
    ],
)
def test_network_and_registration_check_each_other(
    monkeypatch: pytest.MonkeyPatch,
    confidence: float,
    shift_mm: float,
    starts: list[str],
    status: str,
) -> None:
    atlas = load_atlas()
    image = scan_of(atlas, POSE)
    seen = perfect_map(atlas, POSE, grid_at(apply_affine(POSE, (0, 8, 20))), image)
    place = POSE.copy()
    place[:3, 3] += (0, shift_mm, 0)
    tried = []

    def registration(image: Image, atlas: Atlas, *, seed: int, start: Any = None) -> HeadFit:
        tried.append("search" if start is None else "network")
        return HeadFit(POSE, 0.95, "head", "A head with its face was found.", {})

    monkeypatch.setattr(
        find, "see_head", lambda *a, **k: sight.Sight(seen, place, confidence, WHOLE)
    )
    monkeypatch.setattr(find, "find_head", registration)
    fit = find.find_head_checked(image, atlas, None)
    assert tried == starts
    assert fit.status == status
    assert (fit.confidence > 0) == (status == "head")
    assert fit.figures["sight"] == confidence


@pytest.mark.parametrize(
    ("filled", "status", "confidence", "believed"),
    [
        (0.1, "head", 0.95, False),
        (0.1, "partial", 0.95, False),
        (0.9, "stripped", 0.95, False),
        (0.1, "stripped", 0.95, True),
        (0.9, "defaced", 0.95, True),
        (0.1, "head", 0.6, True),
    ],
)
def test_who_sees_a_skull_and_who_does_not_contradict(
    filled: float, status: HeadStatus, confidence: float, believed: bool
) -> None:
    atlas = load_atlas()
    image = scan_of(atlas, POSE)
    seen = perfect_map(atlas, POSE, grid_at(apply_affine(POSE, (0, 8, 20))), image)
    sees = sight.Sight(seen, POSE, confidence, WHOLE | {"shell_filled": filled})
    fit = find.confronted(HeadFit(POSE, 0.9, status, "Found.", {}), sees, atlas, image)
    assert (fit.status == status) == believed
    assert believed or (fit.status == "no_head" and "skull round the brain" in fit.sentence)


def test_what_is_out_of_view_is_not_compared() -> None:
    atlas = load_atlas()
    scan = scan_of(atlas, POSE)
    # Both maps agree above the nose and bend apart below it.
    bent = POSE.copy()
    bent[1, 2] += 0.3
    bent[1, 3] -= 0.3 * atlas.landmarks["vertex"][2]
    chin = apply_affine(POSE, atlas.landmarks["chin"])
    low = int(apply_affine(np.linalg.inv(scan.affine), chin)[2]) + 20
    affine = scan.affine.copy()
    affine[:3, 3] = apply_affine(affine, (0, 0, low))
    upper = Image(scan.data[:, :, low:], affine)
    assert sight.apart_mm(bent, POSE, atlas, scan) > sight.apart_mm(bent, POSE, atlas, upper)
    nowhere = Image(scan.data[:2, :2, :2], affine)
    assert sight.apart_mm(bent, POSE, atlas, nowhere) == sight.apart_mm(bent, POSE, atlas)


def test_the_grid_holds_the_whole_head_but_for_the_neck() -> None:
    atlas = load_atlas()
    grid = grid_at(CENTRE_ATLAS_MM)
    places = apply_affine(atlas.head.affine, np.argwhere(atlas.head.data))
    corners = apply_affine(np.linalg.inv(grid), places[places[:, 2] > -100])
    assert (corners > -0.5).all()
    assert (corners < np.array(GRID_SHAPE) - 0.5).all()
