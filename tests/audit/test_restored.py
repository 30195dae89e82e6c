"""Attacks that restore or learn, on heads whose secret is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from anonymi_bids.audit import learn, restore, restored
from anonymi_bids.audit.attacks import run_audit
from anonymi_bids.audit.describe import without_plane
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.audit.trials import gather
from anonymi_bids.settings import AuditSettings, Settings

HEAD, REST = (3, 14, 16), (2, 12, 12)
FACE = np.zeros(HEAD, dtype=bool)
FACE[:, 5:, 3:13] = True
SECRETS = 6
N = 40


class World:
    """Heads that follow from a few numbers each."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.face = rng.normal(size=(SECRETS, *HEAD))
        self.rest = rng.normal(size=(SECRETS, *REST))
        self.sides = rng.normal(size=(SECRETS, *HEAD))
        self.mixing = rng.normal(size=(SECRETS, SECRETS))

    def head(self, face: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Front views: face from one set of numbers, what is around it from another."""
        shown = np.where(FACE, np.tensordot(face, self.face, 1), np.tensordot(rest, self.sides, 1))
        return 60 + 4 * shown

    def behind(self, rest: np.ndarray) -> np.ndarray:
        return 60 + 4 * np.tensordot(rest, self.rest, 1)


def make_study(folder: Path, how: str, *, n: int = N, coupled: bool = False) -> Path:
    """Two visits of n people, the second one released.

    `how`: ``removed``, ``new`` (somebody else's face), ``mixed`` (the own face's numbers turned
    into others by a fixed rule, which whoever has pairs can undo).
    """
    world, rng = World(), np.random.default_rng(5)
    for number in range(n):
        face = rng.normal(size=SECRETS)
        rest = face if coupled else rng.normal(size=SECRETS)
        other = {"new": rng.normal(size=SECRETS), "mixed": face @ world.mixing}.get(how, face)
        for session, kind in (("1", "original"), ("2", "original"), ("2", "released")):
            head = world.head(other if kind == "released" else face, rest)
            if kind == "released" and how == "removed":
                head = np.where(FACE, np.nan, head)
            noisy = head + 0.3 * rng.normal(size=HEAD)
            if kind == "original":
                last = noisy
            else:
                # Outside the face a release is the original of the same acquisition.
                noisy = np.where(FACE, noisy, last)
            if kind == "original":
                behind = world.behind(rest) + 0.3 * rng.normal(size=REST)
            stem = f"sub-{number:03d}_ses-{session}_T1w"
            meta = FeatureMeta(f"{number:03d}", session, "T1w", kind, stem)
            brain = rng.normal(size=30)
            content: dict[str, Any] = {
                "brain": brain,
                "brain_high": brain,
                "brain_edges": brain,
                "air": rng.normal(size=60),
                "head": noisy,
                "depth": np.where(FACE, noisy, np.nan),
                "rest": behind,
                "skin_gap": np.array([15.0]),
            }
            small = {name: np.asarray(array, np.float16) for name, array in content.items()}
            save_features(folder, meta, small)
    return folder


def hits(folder: Path, name: str) -> tuple[int, int, int]:
    """People found on the originals, on the release, and by the air."""
    items, damaged = gather(folder)
    assert not damaged
    rng = np.random.default_rng(0)
    cohort = restored.gather_cohort(items, rng, None, 16.0)
    assert cohort is not None
    assert name in restored.possible(cohort, blurred=True)
    found = restored.attack_restored(name, cohort, rng)
    return found.rate_before.hits, found.rate_after.hits, found.wrong_region.hits


@pytest.mark.parametrize("coupled", [True, False])
def test_rest_gives_the_face_only_where_they_hang_together(tmp_path: Path, coupled: bool) -> None:
    before, after, air = hits(make_study(tmp_path, "removed", coupled=coupled), "face_from_others")
    assert before >= 0.9 * N
    assert air <= 5
    assert (after >= 0.9 * N) if coupled else (after <= 5)


@pytest.mark.parametrize("name", ["face_regressed", "face_informed"])
def test_a_rule_that_can_be_undone_is_undone(tmp_path: Path, name: str) -> None:
    before, after, air = hits(make_study(tmp_path, "mixed"), name)
    assert before >= 0.9 * N
    assert after >= 0.9 * N
    assert air <= 5


@pytest.mark.parametrize("name", ["face_regressed", "face_informed"])
def test_a_new_face_tells_nothing(tmp_path: Path, name: str) -> None:
    before, after, _ = hits(make_study(tmp_path, "new"), name)
    assert before >= 0.9 * N
    assert after <= 5


def test_full_audit_runs_them_and_says_what_few_people_cannot_show(tmp_path: Path) -> None:
    def audit(folder: Path, mode: str) -> dict[str, Any]:
        settings = Settings(audit=AuditSettings(audit=mode))
        return run_audit(folder, settings=settings, released=[], withheld={})

    many = make_study(tmp_path / "many", "mixed", n=20)
    quick, full = audit(many, "quick"), audit(many, "full")
    names = {entry["name"] for entry in full["attacks"]}
    assert names >= {"head_refilled", "face_from_others", "face_regressed", "face_informed"}
    assert not names & {"face_from_model", "face_deblurred"}
    assert not {entry["name"] for entry in quick["attacks"]} & set(restored.ATTACKS)
    assert any("restored" in text for text in quick["verdict"]["not_tested"])
    assert not any("restored" in text for text in full["verdict"]["not_tested"])
    regressed = next(entry for entry in full["attacks"] if entry["name"] == "face_regressed")
    assert regressed["result"] == full["verdict"]["result"] == "does not meet"
    assert regressed["negative_control"]["p_value"] == pytest.approx(1 / 2000)
    rest = next(entry for entry in full["attacks"] if entry["name"] == "face_from_others")
    assert rest["threshold"] is None
    schema = json.loads((Path(__file__).parents[2] / "docs" / "audit.schema.json").read_text())
    jsonschema.validate(json.loads(json.dumps(full)), schema)
    few = audit(make_study(tmp_path / "few", "mixed", n=5), "full")
    assert not {entry["name"] for entry in few["attacks"]} & restored.LEARNT
    assert any("restored" in text for text in few["verdict"]["not_tested"])


@pytest.mark.parametrize("learner", [learn.ridge, learn.canonical])
def test_guessing_is_not_beaten_nor_missed(learner: learn.Learner) -> None:
    """Learning on noise finds as many as guessing; not fewer, as it would if only one was left."""
    rng = np.random.default_rng(2)
    n, rounds = 20, 30
    found = 0.0
    for _ in range(rounds):
        shown, known = (learn.gram(rng.normal(size=(n, 50))) for _ in range(2))
        scores = learn.pair_scores(shown, known, learn.people_folds(n, rng), learner)
        found += learn.to_matches(scores, np.ones(n, dtype=bool)).hits.sum()
    # One a round by guessing; the standard deviation of the mean is about 1 / √30.
    assert 0.5 < found / rounds < 1.6


def test_nobody_learns_from_whom_it_scores() -> None:
    seen = []

    def spy(released: Any, known: Any, learnt: Any, scored: Any) -> Any:
        seen.append((set(learnt.tolist()), set(scored.tolist())))
        return np.zeros((len(scored), len(scored)))

    fold = learn.people_folds(13, np.random.default_rng(0), 4)
    scores = learn.pair_scores(np.eye(13), np.eye(13), fold, spy)
    assert np.isfinite(scores).all()
    assert all(not learnt & scored for learnt, scored in seen)
    assert all(len(learnt | scored) == 13 for learnt, scored in seen)


def test_who_shows_no_skin_is_found_by_nobody() -> None:
    usable = np.array([True, True, False, True, True])
    found = learn.to_matches(np.eye(5), usable)
    assert found.hits.tolist() == [1, 1, 0, 1, 1]
    assert found.hits_back.tolist() == [1, 1, 0, 1, 1]


def test_completion_finds_the_face_behind_what_is_left() -> None:
    rng = np.random.default_rng(1)
    left, face = rng.normal(size=(4, 30)), rng.normal(size=(4, 20))
    secrets = 10 * rng.normal(size=(60, 4))
    found = restore.Completion((secrets @ left).astype(np.float32), (secrets @ face).astype("f4"))
    new = 10 * rng.normal(size=4)
    error = found.complete((new @ left).astype(np.float32)) - new @ face
    assert np.sqrt((error**2).mean()) < 0.05 * np.sqrt(((new @ face) ** 2).mean())


def test_average_follows_what_is_left() -> None:
    rows, columns = np.indices((20, 24), dtype=np.float32)
    mean = np.sin(rows / 4).astype(np.float32)
    gone = np.zeros((20, 24), dtype=bool)
    gone[5:15, 6:18] = True
    own = np.where(gone, np.nan, mean + 3 + 0.2 * rows - 0.1 * columns).astype(np.float32)
    (filled,) = restore.refill([own], [gone], [mean])
    assert np.allclose(filled, mean + 3 + 0.2 * rows - 0.1 * columns, atol=1e-3)


def test_rows_are_those_of_single_views() -> None:
    rng = np.random.default_rng(3)
    heads = [[rng.normal(60, 5, (12, 9)).astype(np.float32) for _ in range(2)] for _ in range(3)]
    heads[1][0][2:5, 3:] = np.nan
    heads[2][1][:] = np.nan
    pixels = [rng.random((12, 9)) < 0.6 for _ in range(2)]
    rows = restore.flat_rows(heads, pixels)
    for head, row in zip(heads, rows, strict=True):
        single = [
            without_plane(np.where(chosen, view, np.nan))[chosen]
            for view, chosen in zip(head, pixels, strict=True)
        ]
        assert np.allclose(row, np.concatenate(single), atol=1e-4, equal_nan=True)
    assert np.isnan(rows[2][-int(pixels[1].sum()) :]).all()


@hypothesis_settings(deadline=None, max_examples=20)
@given(st.floats(2.0, 6.0), st.integers(0, 100))
def test_deblurring_brings_back_what_a_low_pass_took(smooth_mm: float, seed: int) -> None:
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    face = 20 * ndimage.gaussian_filter(rng.normal(size=(60, 60)), 3.0).astype(np.float32)
    soft = ndimage.gaussian_filter(face, smooth_mm / 2.0, mode="reflect").astype(np.float32)
    sharp = restore.deblurred(soft, smooth_mm)
    inner = np.s_[12:-12, 12:-12]
    assert np.abs(sharp - face)[inner].mean() < 0.7 * np.abs(soft - face)[inner].mean() + 0.02


def test_changed_pixels_are_those_a_method_moves() -> None:
    rng = np.random.default_rng(0)
    before = [[rng.normal(60, 3, (10, 12)).astype(np.float32)] for _ in range(5)]
    after = []
    for (view,) in before:
        new = view.copy()
        new[2:4, 2:4] += 2
        new[7, 9] = np.nan
        after.append([new])
    (changed,) = restore.changed_pixels(before, after)
    assert changed[2:4, 2:4].all()
    assert changed[7, 9]
    assert not changed[5:, :5].any()
