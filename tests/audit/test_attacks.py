"""The attacks on features whose truth is known."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymi_bids.audit import judge, learn, match, trials
from anonymi_bids.audit.attacks import run_audit
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.audit.rates import rate
from anonymi_bids.audit.rows import Rows
from anonymi_bids.audit.visits import Item, make_duel
from anonymi_bids.settings import AuditSettings, Settings

WIDTH = 400
FACE = (3, 12, 16)


def meta(subject: str, session: str, kind: str, contrast: str = "T1w") -> FeatureMeta:
    stem = f"sub-{subject}_ses-{session}_{contrast}"
    return FeatureMeta(subject, session, contrast, kind, stem)


def put(
    folder: Path,
    who: FeatureMeta,
    rng: np.random.Generator,
    *,
    brain: np.ndarray,
    face: np.ndarray,
    skin_gap: float = 15.0,
) -> None:
    noisy = (brain + 0.5 * rng.normal(size=WIDTH)).astype(np.float16)
    content = {
        "brain": noisy,
        "brain_high": noisy,
        "brain_edges": noisy,
        "air": rng.normal(size=50).astype(np.float16),
        "depth": (60 + face + 0.5 * rng.normal(size=FACE)).astype(np.float16),
        "skin_gap": np.array([skin_gap], dtype=np.float16),
    }
    content["head"] = content["depth"]
    save_features(folder, who, content)


def make_study(
    folder: Path,
    n: int,
    *,
    left: float = 0.0,
    sessions: Sequence[str] = ("1", "2"),
    doubled: bool = False,
    bare: int = 0,
) -> Path:
    """Put features of n people; `left` is the share of the own face that the release keeps."""
    rng = np.random.default_rng(1)
    common = rng.normal(size=WIDTH), 4 * rng.normal(size=FACE)
    brains = [common[0] + rng.normal(size=WIDTH) for _ in range(n)]
    if doubled:
        brains[-1] = brains[-2]
    for i, brain in enumerate(brains):
        face = common[1] + 3 * rng.normal(size=FACE)
        gap = 0.5 if i < bare else 15.0
        for session in sessions:
            own = left * face + (1 - left) * common[1]
            who = f"{i:03d}"
            put(folder, meta(who, session, "original"), rng, brain=brain, face=face, skin_gap=gap)
            put(folder, meta(who, session, "second"), rng, brain=brain, face=face, skin_gap=gap)
            put(folder, meta(who, session, "released"), rng, brain=brain, face=own)
    return folder


def audit(folder: Path, **changes: Any) -> dict[str, Any]:
    settings = Settings(audit=AuditSettings(**changes))
    return run_audit(folder, settings=settings, released=[], withheld={})


def attack(content: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in content["attacks"] if entry["name"] == name)


def test_removed_faces_meet_and_brains_link(tmp_path: Path) -> None:
    content = audit(make_study(tmp_path, 40))
    face, brain = attack(content, "face_shape"), attack(content, "brain_linkage")
    assert face["positive_control"]["hits"] == 40
    assert face["positive_control"]["passed"]
    assert face["hits"] <= 4
    assert face["negative_control"]["p_value"] > 0.01
    assert face["negative_control"]["wrong_region"]["hits"] <= 4
    assert face["negative_control"]["shuffled_mean_hits"] == pytest.approx(1, abs=0.15)
    assert face["chance"] == pytest.approx(1 / 40)
    assert face["second_visits"] == {"real": 40, "simulated": 0}
    assert (brain["hits"], brain["n"], brain["result"]) == (40, 40, "sets the access level")
    assert content["linkage"]["labels"]["double_pairs"] == 0
    assert content["participants"]["attacked"] == 40
    assert content["verdict"]["result"] == face["result"]


def test_kept_faces_are_found(tmp_path: Path) -> None:
    content = audit(make_study(tmp_path, 20, left=0.7))
    face = attack(content, "face_shape")
    assert face["hits"] == 20
    assert face["negative_control"]["p_value"] == pytest.approx(1 / 2000)
    assert face["result"] == content["verdict"]["result"] == "does not meet"


def test_one_visit_is_simulated_and_said(tmp_path: Path) -> None:
    content = audit(make_study(tmp_path, 6, sessions=("1",)))
    face = attack(content, "face_shape")
    assert face["second_visits"] == {"real": 0, "simulated": 6}
    assert content["participants"]["second_visit_simulated"] == 6
    assert content["verdict"]["result"] == "inconclusive"
    assert "32 people" in face["reason"] or "proves nothing" in face["reason"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_people(tmp_path: Path, n: int) -> None:
    content = audit(make_study(tmp_path, n))
    assert content["verdict"]["result"] == "inconclusive"
    assert attack(content, "face_shape")["n"] == n
    json.dumps(content, allow_nan=False)


def test_one_person_is_found_by_guessing_and_nothing_is_in_excess(tmp_path: Path) -> None:
    for entry in audit(make_study(tmp_path, 1, left=1.0))["attacks"]:
        assert (entry["n"], entry["hits"], entry["chance"]) == (1, 1, 1)
        assert entry["excess"] is None


def test_the_strongest_way_finds_most_then_separates_best() -> None:
    close = np.array([[0.9, 0.8, 0.8], [0.1, 0.3, 0.1], [0.1, 0.1, 0.3]])
    tables = {"wrong": 1 - np.eye(3), "close": close, "clear": np.eye(3)}
    sure = np.ones(3, dtype=bool)
    way, found = trials.strongest(
        {name: functools.partial(learn.to_matches, table, sure) for name, table in tables.items()}
    )
    assert found.hits.sum() == 3
    assert way == "clear"
    with pytest.raises(ValueError, match="at least one way"):
        trials.strongest({})


def test_nobody(tmp_path: Path) -> None:
    content = audit(tmp_path)
    assert content["attacks"] == []
    assert content["verdict"]["result"] == "inconclusive"
    assert not content["linkage"]["tested"]
    none = audit(make_study(tmp_path, 3), audit="none")
    assert none["attacks"] == []
    assert none["verdict"]["result"] == "inconclusive"


def test_same_label_twice_is_noticed(tmp_path: Path) -> None:
    content = audit(make_study(tmp_path, 12, doubled=True))
    assert content["linkage"]["labels"]["double_pairs"] == 1


def test_originals_without_skin_are_counted_apart(tmp_path: Path) -> None:
    face = attack(audit(make_study(tmp_path, 10, bare=3)), "face_shape")
    assert face["n"] == 7
    assert face["not_acquired"] == {"original": 3, "released": 0}


def test_release_without_skin_is_not_found_but_counted(tmp_path: Path) -> None:
    make_study(tmp_path, 8, left=1.0)
    rng = np.random.default_rng(2)
    for session in ("1", "2"):
        empty = np.full(FACE, np.nan)
        put(tmp_path, meta("000", session, "released"), rng, brain=np.zeros(WIDTH), face=empty)
    face = attack(audit(tmp_path), "face_shape")
    assert (face["n"], face["hits"]) == (8, 7)
    assert face["not_acquired"]["released"] == 1


def test_annex_names_people_but_the_audit_does_not(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "features", 6)
    content = run_audit(
        folder, settings=Settings(), released=[], withheld={}, annex=tmp_path / "annex.json"
    )
    annex = json.loads((tmp_path / "annex.json").read_text())
    assert {entry["subject"] for entry in annex} == {f"{i:03d}" for i in range(6)}
    assert "sub-" not in json.dumps(content)
    assert '"003"' not in json.dumps(content)


def test_audit_is_reproducible(tmp_path: Path) -> None:
    folder = make_study(tmp_path, 9)
    assert json.dumps(audit(folder)) == json.dumps(audit(folder))


def test_never_the_same_acquisition(tmp_path: Path) -> None:
    probes = [Item(tmp_path, meta("a", s, "released")) for s in ("1", "2")]
    originals = [Item(tmp_path, meta("a", s, "original")) for s in ("1", "2")]
    seconds = [Item(tmp_path, meta("a", s, "second")) for s in ("1", "2")]
    duel = make_duel(probes, originals, seconds)
    assert not duel.simulated[0]
    for i, j in duel.own[0]:
        assert duel.probes.items[i].meta.session != duel.gallery.items[j].meta.session
    alone = make_duel(probes[:1], originals[:1], seconds[:1])
    assert alone.simulated[0]
    assert alone.gallery.items[0].meta.kind == "second"
    assert make_duel(probes[:1], originals[:1], []).n == 0


def test_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items, _ = trials.gather(make_study(tmp_path, 15))
    duel = make_duel(items["original"], items["original"], items["second"])

    def describe(features: Any) -> np.ndarray:
        return features["brain"].astype(np.float32)

    def run(place: str) -> match.Matches:
        folder = tmp_path / place
        folder.mkdir()
        rows = [
            Rows(side.items, describe, folder, centred=True)
            for side in (duel.probes, duel.gallery)
        ]
        return match.compare(duel, *rows)

    whole = run("whole")
    monkeypatch.setattr("anonymi_bids.audit.rows.BLOCK_BYTES", 4 * WIDTH * 3)
    monkeypatch.setattr("anonymi_bids.audit.rows.IN_MEMORY_BYTES", 10)
    monkeypatch.setattr("anonymi_bids.audit.match.BLOCK_BYTES", 4 * WIDTH * 4)
    parts = run("parts")
    assert (tmp_path / "parts" / "rows-0.dat").exists()
    assert np.array_equal(whole.rank, parts.rank)
    assert np.array_equal(whole.rank_back, parts.rank_back)
    assert np.array_equal(whole.first, parts.first)
    assert np.abs(whole.own - parts.own).max() < 1e-4
    assert np.abs(whole.histogram - parts.histogram).sum() <= 4


def test_scores_are_correlations(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    for index in range(5):
        put(tmp_path, meta(f"{index}", "1", "original"), rng, brain=rng.normal(size=WIDTH), face=0)
    items, _ = trials.gather(tmp_path)
    rows = Rows(
        items["original"], lambda f: f["brain"].astype(np.float32), tmp_path, centred=False
    )
    raw = np.stack([np.load(item.path)["brain"].astype(float) for item in items["original"]])
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    assert rows.between(0, 5) @ rows.between(0, 5).T == pytest.approx(unit @ unit.T, abs=1e-3)


@pytest.mark.parametrize(
    ("hits", "n", "control", "expected"),
    [
        (0, 32, 32, "meets"),
        (0, 31, 31, "inconclusive"),
        (1, 51, 50, "meets"),
        (1, 50, 50, "does not meet"),
        (0, 100, 40, "inconclusive"),
        (5, 10, 10, "does not meet"),
        (90, 100, 20, "does not meet"),
        (15, 182, 178, "does not meet"),
    ],
)
def test_results(hits: int, n: int, control: int, expected: str) -> None:
    after, before = rate(hits, n), rate(control, n)
    found = judge.face_result(after, before, limit=0.09, control_limit=0.5)
    assert found == expected
    assert judge.face_reason(found, after, before, 0.09, 0.5).endswith(".")


def test_damaged_features_do_not_stop_the_audit(tmp_path: Path) -> None:
    make_study(tmp_path, 4)
    victim = sorted((tmp_path / "released").glob("*.npz"))[0]
    victim.write_bytes(victim.read_bytes()[:100])
    content = audit(tmp_path)
    assert content["withheld"]["features_damaged"] == 1
    assert attack(content, "brain_linkage")["n"] == 4


def test_table_risk_is_reported(tmp_path: Path) -> None:
    rows = [{"participant_id": f"sub-{i}", "age": "30" if i else "80"} for i in range(12)]
    content = run_audit(
        make_study(tmp_path, 3), settings=Settings(), released=[], withheld={}, participants=rows
    )
    assert content["metadata"]["columns"] == ["age"]
    assert (content["metadata"]["alone"], content["metadata"]["smallest_class"]) == (1, 1)
    assert content["metadata"]["people_above_limit"] == 1
