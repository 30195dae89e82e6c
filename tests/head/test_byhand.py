"""A head placed by landmarks: near the truth, refined where that agrees, else refused."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.head import byhand
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom

Places = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def person() -> Phantom:
    return quick_head(4.0, "T1w", 8)


@pytest.fixture(scope="module")
def picked(person: Phantom) -> Places:
    """Landmarks picked with an error of 3 mm."""
    true = {
        "nasion": person.nasion,
        "lpa": person.lpa,
        "rpa": person.rpa,
        "chin": person.landmarks68[8],
        "nose_tip": person.landmarks68[30],
    }
    rng = np.random.default_rng(0)
    return {name: place + rng.normal(0, 3, 3) for name, place in true.items()}


@pytest.fixture
def unrefined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        byhand, "refine", lambda _prepared, _atlas, start, _seed, **_more: (start, 0.0)
    )


def test_landmarks_place_the_head_and_the_image_refines_it(
    person: Phantom, picked: Places
) -> None:
    fit = byhand.place_head(person.image, load_atlas(), picked, seed=1)
    assert fit.status == "head"
    assert fit.confidence > 0.9
    assert fit.figures["landmarks_given"] == 5
    assert fit.figures["refined"] == 1
    assert fit.figures["dice"] > 0.93
    brain = load_atlas().brain
    centre = apply_affine(brain.affine, np.argwhere(brain.data).mean(axis=0))
    true = apply_affine(person.image.affine, np.argwhere(person.brain_and_csf).mean(axis=0))
    assert np.linalg.norm(apply_affine(fit.atlas_to_image, centre) - true) < 6


def test_a_registration_that_leaves_the_landmarks_is_not_believed(
    person: Phantom, picked: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    astray = np.eye(4)
    astray[:3, 3] = (0, 0, 25)

    def lost(_prepared: object, _atlas: object, start: np.ndarray, _seed: int, **_more: object):  # type: ignore[no-untyped-def]
        return astray @ start, 0.9

    monkeypatch.setattr(byhand, "refine", lost)
    fit = byhand.place_head(person.image, load_atlas(), picked)
    assert fit.figures["refined"] == 0
    assert fit.figures["refined_rms_mm"] > 20
    names = sorted(picked)
    placed = apply_affine(fit.atlas_to_image, [load_atlas().landmarks[name] for name in names])
    missed = np.linalg.norm(placed - np.stack([picked[name] for name in names]), axis=1)
    assert np.sqrt((missed**2).mean()) == pytest.approx(fit.figures["landmark_rms_mm"])


@pytest.mark.usefixtures("unrefined")
@pytest.mark.parametrize("fault", ["sides", "names", "unit", "mirror"])
def test_landmarks_of_no_head_are_withheld_with_a_sentence(
    person: Phantom, picked: Places, fault: str
) -> None:
    wrong = dict(picked)
    if fault == "sides":
        wrong["lpa"], wrong["rpa"] = picked["rpa"], picked["lpa"]
    elif fault == "names":
        wrong["nasion"], wrong["chin"] = picked["chin"], picked["nasion"]
    elif fault == "unit":
        wrong = {name: place / 10 for name, place in picked.items()}
    else:
        wrong = {name: place * (1, -1, 1) for name, place in picked.items()}
    fit = byhand.place_head(person.image, load_atlas(), wrong)
    assert fit.status == "no_head"
    assert fit.confidence < 0.5
    assert "check names, left and right" in fit.sentence


@pytest.mark.usefixtures("unrefined")
def test_landmarks_beside_the_head_are_withheld_with_a_sentence(
    person: Phantom, picked: Places
) -> None:
    moved = {name: place + (0, 0, 120) for name, place in picked.items()}
    fit = byhand.place_head(person.image, load_atlas(), moved)
    assert fit.status == "no_head"
    assert "picked on the reference" in fit.sentence


def test_only_landmarks_that_are_well_spread_place_a_head() -> None:
    atlas = load_atlas()
    midline = dict.fromkeys(("nasion", "nose_tip", "chin", "vertex"))
    level = dict.fromkeys(("eye_left", "eye_right", "lpa", "rpa"))
    face = dict.fromkeys(("eye_left", "eye_right", "nasion", "brow", "nose_tip"))
    for names in (midline, level, face):
        assert not byhand.well_spread(names, atlas)  # type: ignore[arg-type]
    assert byhand.well_spread(dict.fromkeys(("nasion", "lpa", "rpa", "vertex")), atlas)  # type: ignore[arg-type]
    assert byhand.well_spread(dict.fromkeys(("nasion", "lpa", "rpa", "chin")), atlas)  # type: ignore[arg-type]
