"""A recogniser of faces against features whose truth is known."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymi_bids.audit import photos, recognised, recogniser
from anonymi_bids.audit.attacks import run_audit
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.audit.recognised import Look, centred
from anonymi_bids.audit.trials import gather
from anonymi_bids.audit.visits import make_duel
from anonymi_bids.cli.attackers import check_attackers
from anonymi_bids.errors import InputError, ToolError
from anonymi_bids.settings import AuditSettings, Settings

WIDTH, VIEWS = 32, 6
SCHEMA = Path(__file__).parents[2] / "docs" / "audit.schema.json"


class Pixels:
    """A recogniser that compares pixels; a face is any picture that is not even."""

    name = "pixels 1"

    def find(self, picture: np.ndarray) -> recogniser.Found | None:
        if picture.std() < 5:
            return None
        corners = np.array([[0, 0], [picture.shape[1] - 1, picture.shape[0] - 1]], dtype=float)
        return recogniser.Found(1.0, np.resize(corners, (68, 2)))

    def embed(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        columns, rows = (np.linspace(a, b, 8) for a, b in zip(low, high, strict=True))
        rows = np.clip(np.rint(rows).astype(int), 0, picture.shape[0] - 1)
        columns = np.clip(np.rint(columns).astype(int), 0, picture.shape[1] - 1)
        return recogniser.unit(picture[np.ix_(rows, columns)].astype(np.float32).ravel() - 128)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name under which `Pixels` can be given."""
    module = ModuleType("some_package")
    module.Pixels = Pixels  # type: ignore[attr-defined]
    module.Nothing = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_package", module)
    recogniser.load_recogniser.cache_clear()
    return "some_package:Pixels"


def make_study(
    folder: Path,
    n: int,
    *,
    left: float = 0.0,
    sessions: Sequence[str] = ("1", "2"),
    blind: bool = False,
    name: str = "pixels 1",
) -> Path:
    """Put features of n people; `left` is the share of the own face that the release keeps."""
    rng = np.random.default_rng(1)
    shared = 3 * rng.normal(size=(VIEWS, WIDTH))
    faces = rng.normal(size=(n, WIDTH))
    for i, face in enumerate(faces):
        for session in sessions:
            for kind in ("original", "second", "released"):
                own = face * (left if kind == "released" else 1)
                vectors = shared + own + 0.3 * rng.normal(size=(VIEWS, WIDTH))
                sees = np.nan if blind and kind == "released" else 1.2
                put(folder, f"{i:03d}", session, kind, vectors, rng, sees=sees, name=name)
    return folder


def put(
    folder: Path,
    subject: str,
    session: str,
    kind: str,
    vectors: np.ndarray | None,
    rng: np.random.Generator,
    *,
    sees: float = 1.2,
    name: str = "pixels 1",
) -> None:
    depth = (60 + rng.normal(size=(3, 8, 8))).astype(np.float16)
    content: dict[str, Any] = {
        **{key: rng.normal(size=40).astype(np.float16) for key in ("brain", "brain_high")},
        **{key: rng.normal(size=40).astype(np.float16) for key in ("brain_edges", "air")},
        "depth": depth,
        "head": depth,
        "skin_gap": np.array([15.0], dtype=np.float16),
    }
    if vectors is not None:
        nothing = rng.normal(size=vectors[:1].shape)
        content |= {
            "embedding": recogniser.unit(vectors).astype(np.float16),
            "view": np.arange(len(vectors), dtype=np.int16),
            "embedding_air": recogniser.unit(nothing).astype(np.float16),
            "detector": np.array([sees], dtype=np.float16),
            "recogniser": np.frombuffer(name.encode(), dtype=np.uint8),
        }
    meta = FeatureMeta(subject, session, "T1w", kind, f"sub-{subject}_ses-{session}_T1w")
    save_features(folder, meta, content)


def audit(folder: Path, **changes: Any) -> dict[str, Any]:
    chosen = Settings(audit=AuditSettings(**changes))
    content = run_audit(folder, settings=chosen, released=[], withheld={})
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(
        json.loads(json.dumps(content)), schema, cls=jsonschema.Draft202012Validator
    )
    return content


def attack(content: dict[str, Any], name: str = "face_recogniser") -> dict[str, Any]:
    return next(entry for entry in content["attacks"] if entry["name"] == name)


def test_removed_faces_meet_the_limit_and_detectors_decide_nothing(tmp_path: Path) -> None:
    found = attack(audit(make_study(tmp_path, 34, blind=True)))
    assert found["positive_control"]["hits"] == found["n"] == 34
    assert found["threshold"] == 0.09
    assert found["recogniser"] == "pixels 1"
    assert found["hits"] <= 3
    assert found["negative_control"]["wrong_region"]["hits"] <= 4
    assert found["negative_control"]["p_value"] > 0.01
    assert found["detector"]["before"]["hits"] == 34
    assert found["detector"]["after"]["hits"] == 0
    # Nobody fires, and yet everybody was compared.
    assert found["not_acquired"] == {"original": 0, "released": 0}


@pytest.mark.parametrize("blind", [False, True])
def test_kept_faces_are_found_even_if_the_detector_is_blind(tmp_path: Path, blind: bool) -> None:
    content = audit(make_study(tmp_path, 34, left=0.7, blind=blind))
    found = attack(content)
    assert found["hits"] >= 33
    assert found["result"] == content["verdict"]["result"] == "does not meet"
    assert any(entry["name"] == "faces" for entry in content["union"])


def test_missing_extra_is_said_and_never_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    for i in range(6):
        for kind in ("original", "second", "released"):
            put(tmp_path, f"{i}", "1", kind, None, rng)
    content = audit(tmp_path)
    assert not [e for e in content["attacks"] if e["name"] == "face_recogniser"]
    assert any("none was installed" in said for said in content["verdict"]["not_tested"])
    monkeypatch.setitem(sys.modules, "dlib", None)
    recogniser.load_recogniser.cache_clear()
    assert recogniser.recogniser_if_any("dlib") is None
    with pytest.raises(ToolError, match="not installed"):
        check_attackers(AuditSettings(photos="somewhere"), tmp_path)
    recogniser.load_recogniser.cache_clear()


def test_images_shown_to_two_recognisers_are_not_compared(tmp_path: Path) -> None:
    make_study(tmp_path, 4)
    put(tmp_path, "004", "1", "original", np.ones((2, WIDTH)), np.random.default_rng(0), name="x")
    said = audit(tmp_path)["verdict"]["not_tested"]
    assert any("different ones" in sentence for sentence in said)


def test_the_same_acquisition_is_never_compared(tmp_path: Path) -> None:
    """Each released image is like the original of its own session only: that must not count."""
    rng = np.random.default_rng(3)
    for i in range(30):
        for session in "12":
            own = rng.normal(size=(VIEWS, WIDTH))
            for kind in ("original", "released"):
                put(tmp_path, f"{i:02d}", session, kind, own, rng)
    shown = recognised.gather_looks(gather(tmp_path)[0])
    duel = make_duel(shown.items["released"], shown.items["original"], [])
    sides = [[shown.look(i) for i in side.items] for side in (duel.probes, duel.gallery)]
    for score in recognised.WAYS.values():
        table = score(duel, *sides)
        best = table.argmax(axis=0) == np.arange(30)
        assert best.sum() <= 4, score.__name__


def test_every_way_finds_who_is_there(tmp_path: Path) -> None:
    shown = recognised.gather_looks(gather(make_study(tmp_path, 8, left=1.0))[0])
    duel = make_duel(shown.items["released"], shown.items["original"], shown.items["second"])
    sides = [[shown.look(i) for i in side.items] for side in (duel.probes, duel.gallery)]
    for score in recognised.WAYS.values():
        assert (score(duel, *sides).argmax(axis=0) == np.arange(8)).all()


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_what_all_people_share_in_a_view_does_not_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = np.arange(VIEWS)
    plain = [
        Look(rng.normal(size=(VIEWS, 5)).astype(np.float32), views, np.zeros((1, 5)), 0.0)
        for _ in range(6)
    ]
    shared = rng.normal(size=(VIEWS, 5)).astype(np.float32)
    moved = [Look(look.vectors + shared, views, look.air, 0.0) for look in plain]
    for a, b in zip(centred(plain), centred(moved), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_recogniser_is_made_by_name(named: str) -> None:
    assert recogniser.load_recogniser(named).name == "pixels 1"
    for wrong in ("pixels", "some_package:Nothing", "some_package:Absent", "absent_package:A"):
        with pytest.raises(ToolError):
            recogniser.load_recogniser(wrong)
        with pytest.raises(ToolError):
            check_attackers(AuditSettings(recogniser=wrong), Path("private"))


def faces_of(n: int) -> np.ndarray:
    """Pictures of n people, (n, 40, 30), of blocks of 5 pixels."""
    blocks = np.random.default_rng(5).integers(0, 255, (n, 8, 6)).astype(np.uint8)
    return blocks.repeat(5, axis=1).repeat(5, axis=2)


def make_photos(folder: Path, n: int, *, rows: Sequence[str] | None = None) -> Path:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads photographs")
    folder.mkdir()
    for i, face in enumerate(faces_of(n)):
        image.fromarray(np.stack([face] * 3, axis=-1)).save(folder / f"{i}.png")
    rows = [f"sub-{i:03d}\t{i}.png" for i in range(n)] if rows is None else rows
    (folder / "who.tsv").write_text("participant_id\tfilename\n" + "\n".join(rows) + "\n")
    return folder


def put_faces(folder: Path, n: int, *, kept: bool) -> None:
    """Put features whose portraits are the people's pictures; the release may show nobody's."""
    rng = np.random.default_rng(6)
    eye = Pixels()
    for i, face in enumerate(faces_of(n)):
        found = eye.find(face)
        assert found is not None
        own = np.stack([eye.embed(face, found.landmarks)] * VIEWS)
        other = rng.normal(size=own.shape) / 8
        noise = 0.02 * rng.normal(size=own.shape)
        for kind in ("original", "second", "released"):
            vectors = own + noise if kept or kind != "released" else other
            put(folder, f"{i:03d}", "1", kind, vectors, rng)


@pytest.mark.parametrize("kept", [True, False])
def test_photographs_find_kept_faces_only(tmp_path: Path, named: str, kept: bool) -> None:
    n = 12
    given_photos = make_photos(tmp_path / "photos", n)
    before = {path.name: path.read_bytes() for path in given_photos.iterdir()}
    put_faces(tmp_path / "features", n, kept=kept)
    content = audit(tmp_path / "features", photos=str(given_photos), recogniser=named)
    found = attack(content, "face_photo")
    assert found["positive_control"]["hits"] == found["n"] == n
    assert found["hits"] == n if kept else found["hits"] <= 4
    assert found["threshold"] == 0.09
    # Nothing of the photographs is left anywhere, and they are as they were.
    assert {path.name: path.read_bytes() for path in given_photos.iterdir()} == before
    written = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert written <= {".npz", ".png", ".tsv"}
    assert ".png" not in json.dumps(content)
    said = content["verdict"]["not_tested"]
    assert not any("--photos" in sentence for sentence in said)


def test_people_without_a_face_on_the_photograph_are_counted_apart(
    tmp_path: Path, named: str
) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads photographs")
    folder = make_photos(tmp_path / "photos", 6, rows=[*(f"{i:03d}\t{i}.png" for i in range(6))])
    image.fromarray(np.full((40, 30), 90, np.uint8)).save(folder / "0.png")
    (folder / "1.png").write_bytes(b"no picture")
    with (folder / "who.tsv").open("a") as table:
        table.write("stranger\t2.png\n")
    put_faces(tmp_path / "features", 6, kept=True)
    content = audit(tmp_path / "features", photos=str(folder), recogniser=named)
    assert attack(content, "face_photo")["not_acquired"]["photograph"] == 2
    assert attack(content, "face_photo")["n"] == 4
    assert any("1 of 7 photographs" in said for said in content["verdict"]["not_tested"])


def test_photographs_follow_new_labels_and_stay_in_their_folder(tmp_path: Path) -> None:
    folder = make_photos(tmp_path / "photos", 2)
    listed = photos.list_photos(folder, {"000": "b7", "x": "001"})
    # 001 is somebody else's new label: whose photograph that is cannot be told.
    assert [entry.subject for entry in listed] == ["b7", ""]
    (tmp_path / "outside.png").write_bytes((folder / "0.png").read_bytes())
    for row in ("a\t../outside.png", "a\tabsent.png"):
        (folder / "who.tsv").write_text(f"participant_id\tfilename\n{row}\n")
        with pytest.raises(InputError, match="Line 2"):
            photos.list_photos(folder, {})
    (folder / "who.tsv").write_text("participant\tfilename\na\t0.png\n")
    with pytest.raises(InputError, match="lacks a column"):
        photos.list_photos(folder, {})
    (folder / "who.tsv").unlink()
    with pytest.raises(InputError, match="0 tables"):
        photos.list_photos(folder, {})
