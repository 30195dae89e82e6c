"""The benchmark of the face recogniser: photographs of digital people, and its attack."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.audit.photos import look_at
from anonymi_bids.audit.portraits import face_features
from anonymi_bids.audit.recognised import Look, centred
from anonymi_bids.audit.recogniser import load_recogniser, recogniser_if_any, unit
from anonymi_bids.core.shape import similarity
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.phantoms.person import make_person
from anonymi_bids.phantoms.visit import Protocol, make_visit
from benchmarks.recognition import looks
from benchmarks.recognition.photograph import SIDE, photograph

PEOPLE = (10_000, 10_001, 10_002, 10_003)


def of_nobody(rng: np.random.Generator, own: np.ndarray | None = None) -> Look:
    vectors = rng.normal(size=(9, 16)) + (0 if own is None else 3 * own)
    return Look(unit(vectors), np.arange(9), unit(rng.normal(size=(1, 16))), 1.0)


def test_the_benchmark_tells_kept_from_removed_faces() -> None:
    rng = np.random.default_rng(1)
    people = []
    for _ in range(20):
        own = rng.normal(size=16)
        person = {name: of_nobody(rng, own) for name in ("before", "known", "blur")}
        people.append(person | {name: of_nobody(rng) for name in ("mask", "ml", "newface")})
    found = looks.attack([*people, {"before": of_nobody(rng)}], "known")
    assert (found["people"], found["left_out"]) == (20, 1)
    assert found["methods"]["blur"]["hits"] == 20
    assert found["methods"]["blur"]["result"] == "does not meet"
    for name in ("mask", "ml", "newface"):
        assert found["methods"][name]["positive_control"]["hits"] == 20
        assert found["methods"][name]["hits"] <= 4


@pytest.fixture(scope="module")
def dlib():
    pytest.importorskip("PIL.Image", reason="Pillow reads photographs")
    if recogniser_if_any("dlib") is None:
        pytest.skip("the extra [faces] (dlib) is not installed")
    return load_recogniser("dlib")


def test_a_photograph_is_of_its_person_and_made_twice_the_same() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow writes photographs")
    import io

    person = make_person(PEOPLE[0])
    packed = photograph(person, 3)
    assert packed == photograph(person, 3)
    picture = np.asarray(image.open(io.BytesIO(packed)))
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.std() > 20


def test_photographs_point_at_the_scans_of_the_same_people(dlib, tmp_path) -> None:
    """Photograph → portraits of an untouched scan, at the true pose."""
    atlas = load_atlas()
    names = ("nasion", "lpa", "rpa", "chin")
    scans, pictures = [], []
    for seed in PEOPLE:
        person = make_person(seed)
        head = make_visit(person, "T1w", 1, protocol=Protocol(spacing_mm=2.0))
        target = [head.nasion, head.lpa, head.rpa, head.landmarks68[8]]
        place = similarity(np.stack([atlas.landmarks[n] for n in names]), np.stack(target))
        found = face_features(head.image, atlas, place, np.arange(99.0), dlib, full=False)
        vectors = found["embedding"].astype(np.float32)
        scans.append(Look(vectors, found["view"].astype(np.int64), vectors[:1], 1.0))
        assert np.isfinite(found["detector"][0])
        path = tmp_path / f"{seed}.jpg"
        path.write_bytes(photograph(person, seed))
        picture = look_at([path], dlib)
        assert picture is not None
        pictures.append(picture)
    mine, known = centred(scans), centred(pictures)
    score = np.array([[float((m @ k.T).max()) for k in known] for m in mine])
    assert (score.argmax(axis=0) == np.arange(len(PEOPLE))).sum() >= 3
