"""Two datasets whose shared people are known, and labels that are wrong on purpose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from anonymi_bids.audit.attacks import run_audit
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.settings import AuditSettings, Settings

WIDTH = 300
FACE = (3, 10, 12)
SCHEMA = Path(__file__).parents[2] / "docs" / "audit.schema.json"


def brain_of(identity: int, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng([identity, 7]).normal(size=width)


def put(
    folder: Path,
    label: str,
    identity: int,
    session: str,
    *,
    kind: str = "released",
    scanner: int = 0,
    contrast: str = "T1w",
    noise: float = 0.5,
) -> None:
    """Features of one scan; each scanner adds a pattern of its own to every brain."""
    rng = np.random.default_rng([identity, int(session), len(kind), scanner, 3])
    shared = np.random.default_rng(11).normal(size=WIDTH)
    pattern = np.random.default_rng([scanner, 12]).normal(size=WIDTH)
    row = shared + pattern + brain_of(identity) + noise * rng.normal(size=WIDTH)
    face = np.random.default_rng(13).normal(size=FACE)
    content: dict[str, Any] = dict.fromkeys(
        ("brain", "brain_high", "brain_edges"), row.astype(np.float16)
    )
    content["air"] = rng.normal(size=50).astype(np.float16)
    content["depth"] = (60 + face + 0.5 * rng.normal(size=FACE)).astype(np.float16)
    content["head"] = content["depth"]
    content["skin_gap"] = np.array([15], dtype=np.float16)
    stem = f"sub-{label}_ses-{session}_{contrast}"
    save_features(folder, FeatureMeta(label, session, contrast, kind, stem), content)


def release(
    folder: Path, people: Sequence[int], *, sessions: Sequence[str] = ("1", "2"), **more: Any
) -> Path:
    for number, identity in enumerate(people):
        for session in sessions:
            for kind in ("original", "released", "second"):
                put(folder, f"r{number:03d}", identity, session, kind=kind, **more)
    return folder


def other(folder: Path, people: Sequence[int], **more: Any) -> Path:
    for number, identity in enumerate(people):
        put(folder, f"g{number:03d}", identity, "9", scanner=5, **more)
    return folder


def audit(folder: Path, **more: Any) -> dict[str, Any]:
    content = run_audit(folder, settings=Settings(), released=[], withheld={}, **more)
    jsonschema.validate(
        content, json.loads(SCHEMA.read_text()), cls=jsonschema.Draft202012Validator
    )
    return content


def brains(content: dict[str, Any]) -> dict[str, Any]:
    compared = content["linkage"]["second_dataset"]["compared"]
    return next(entry for entry in compared if entry["compared"] == "brain_linkage")


def test_shared_people_are_seen_and_named_in_private_only(tmp_path: Path) -> None:
    mine = release(tmp_path / "a", range(20))
    theirs = other(tmp_path / "b", [5, 6, 7, *range(100, 115)])
    content = audit(mine, gallery=theirs, annex=tmp_path / "people.json")
    found = brains(content)
    assert (found["pairs_alike"], found["people_alike"]) == (3, 3)
    assert found["expected_by_chance"] < 0.1
    assert found["pairs"] == 20 * 18
    assert (found["control"]["hits"], found["control"]["n"]) == (20, 20)
    assert found["result"] == "pairs found"
    assert content["linkage"]["second_dataset"]["sentence"].startswith("Yes")
    # Nothing in the public part tells who: the other dataset's labels are nowhere in it.
    text = json.dumps(content)
    assert '"r0' not in text
    assert "g00" not in text
    named = json.loads((tmp_path / "audit-links.json").read_text())["second_dataset"]
    alike = {(e["subject"], e["other_dataset"]) for e in named if e["looks_like_one_person"]}
    assert {("r005", "g000"), ("r006", "g001"), ("r007", "g002")} <= alike
    assert {e["subject"] for e in named} == {f"r{i:03d}" for i in range(20)}


def test_nobody_shared_and_never_a_rank(tmp_path: Path) -> None:
    mine = release(tmp_path / "a", range(20))
    found = brains(audit(mine, gallery=other(tmp_path / "b", range(100, 130))))
    assert (found["pairs_alike"], found["result"]) == (0, "none found")
    assert found["control"]["passed"]
    # Each has a best match all the same: it is no finding.
    assert found["best_of_each_other"] > 0
    assert not {"rank", "hits", "rate"} & set(found)


@pytest.mark.parametrize("shared", [0, 2])
def test_few_people_make_strangers_of_another_dataset_no_one_person(
    tmp_path: Path, shared: int
) -> None:
    # A mean taken out of eight scans makes these eight unlike each other by a seventh; those of
    # another dataset are not made so, and would all seem alike.
    mine = release(tmp_path / "a", range(8))
    found = brains(audit(mine, gallery=other(tmp_path / "b", [*range(shared), *range(100, 112)])))
    assert found["pairs_alike"] == shared
    assert found["threshold_from"] == "between"


def test_two_labels_for_everybody_hide_no_join(tmp_path: Path) -> None:
    # The second label of a person is nobody's best match, and no stranger.
    mine = release(tmp_path / "a", range(20))
    theirs = tmp_path / "b"
    for number in range(40):
        put(theirs, f"g{number:03d}", number % 20, str(9 - number // 20), scanner=5)
    found = brains(audit(mine, gallery=theirs))
    assert (found["pairs_alike"], found["result"]) == (40, "pairs found")


def test_same_labels_are_not_believed(tmp_path: Path) -> None:
    mine = release(tmp_path / "a", range(20))
    theirs = tmp_path / "b"
    for number in range(20):
        put(theirs, f"r{number:03d}", 200 + number, "9", scanner=5)
    assert brains(audit(mine, gallery=theirs))["pairs_alike"] == 0


def test_one_scan_against_a_release(tmp_path: Path) -> None:
    mine = release(tmp_path / "a", range(25))
    found = brains(audit(mine, gallery=other(tmp_path / "b", [3])))
    assert (found["others"], found["pairs_alike"], found["result"]) == (1, 1, "pairs found")
    found = brains(audit(mine, gallery=other(tmp_path / "c", [333])))
    assert (found["pairs_alike"], found["result"]) == (0, "none found")


def test_single_visits_say_that_the_control_is_simulated(tmp_path: Path) -> None:
    mine = release(tmp_path / "a", range(20), sessions=("1",))
    found = brains(audit(mine, gallery=other(tmp_path / "b", [5, 101, 102, 103])))
    assert found["control"]["simulated"] == 20
    assert "20 of 20 visits simulated" in found["sentence"]
    assert found["pairs_alike"] == 1


def test_weak_comparison_finds_nothing_and_says_so(tmp_path: Path) -> None:
    mine = release(tmp_path / "a", range(20), noise=30)
    content = audit(mine, gallery=other(tmp_path / "b", range(20), noise=30))
    found = brains(content)
    assert not found["control"]["passed"]
    assert found["result"] == "cannot tell"
    assert content["linkage"]["second_dataset"]["result"] == "cannot tell"


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_to_tell(tmp_path: Path, n: int) -> None:
    mine = release(tmp_path / "a", range(n))
    content = audit(mine, gallery=other(tmp_path / "b", range(2)))
    assert brains(content)["result"] == "cannot tell"
    assert "too few" in brains(content)["sentence"]
    assert not content["linkage"]["labels"]["double_tested"]


def test_no_contrast_in_common(tmp_path: Path) -> None:
    mine = release(tmp_path / "a", range(6))
    content = audit(mine, gallery=other(tmp_path / "b", range(6), contrast="T2w"))
    second = content["linkage"]["second_dataset"]
    assert "brain_linkage" not in {entry["compared"] for entry in second["compared"]}
    assert second["result"] == "cannot tell"


def test_empty_gallery_and_no_gallery(tmp_path: Path) -> None:
    mine = release(tmp_path / "a", range(4))
    second = audit(mine, gallery=tmp_path / "none", gallery_unusable=3)["linkage"][
        "second_dataset"
    ]
    assert (second["images"], second["unusable"], second["result"]) == (0, 3, "cannot tell")
    content = audit(mine)
    assert content["linkage"]["second_dataset"] is None
    assert any("--gallery" in line for line in content["verdict"]["not_tested"])
    nothing = run_audit(
        mine, settings=Settings(audit=AuditSettings(audit="none")), released=[], withheld={}
    )
    assert nothing["linkage"]["second_dataset"] is None


def test_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = release(tmp_path / "a", range(15))
    theirs = other(tmp_path / "b", [*range(4), *range(100, 110)])
    whole = audit(mine, gallery=theirs, annex=tmp_path / "x" / "people.json")
    named = (tmp_path / "x" / "audit-links.json").read_text()
    monkeypatch.setattr("anonymi_bids.audit.rows.BLOCK_BYTES", 4 * WIDTH * 3)
    monkeypatch.setattr("anonymi_bids.audit.rows.IN_MEMORY_BYTES", 10)
    parts = audit(mine, gallery=theirs, annex=tmp_path / "y" / "people.json")
    keys = ("pairs_alike", "best_of_each_other", "people_alike")
    assert [brains(whole)[key] for key in keys] == [brains(parts)[key] for key in keys]
    rounded = [
        [
            (e["subject"], e["other_dataset"], round(e["score"], 2))
            for e in json.loads(text)["second_dataset"]
        ]
        for text in (named, (tmp_path / "y" / "audit-links.json").read_text())
    ]
    assert rounded[0] == rounded[1]


def test_mixed_up_labels_are_found(tmp_path: Path) -> None:
    folder = release(tmp_path / "a", range(12))
    # The second visits of two people change places; a thirteenth label is the first person again.
    for kind in ("original", "released", "second"):
        put(folder, "r003", 4, "2", kind=kind)
        put(folder, "r004", 3, "2", kind=kind)
        put(folder, "r900", 0, "7", kind=kind)
    content = audit(folder, annex=tmp_path / "people.json")
    labels = content["linkage"]["labels"]
    assert labels["apart_labels"] == 2
    assert labels["repeat_labels"] == 12
    # Swapped visits make the two labels look like one as well.
    assert labels["double_pairs"] == 2
    named = json.loads((tmp_path / "audit-links.json").read_text())["labels"]
    assert {e["subject"] for e in named["two_brains_one_label"]} == {"r003", "r004"}
    pairs = {tuple(e["subjects"]) for e in named["one_brain_two_labels"]}
    assert pairs == {("r000", "r900"), ("r003", "r004")}


def test_mixed_up_labels_hide_no_join(tmp_path: Path) -> None:
    folder = release(tmp_path / "a", range(20))
    for kind in ("original", "released", "second"):
        put(folder, "r003", 4, "2", kind=kind)
        put(folder, "r004", 3, "2", kind=kind)
    found = brains(audit(folder, gallery=other(tmp_path / "b", [5, 6, *range(100, 115)])))
    assert (found["pairs_alike"], found["result"]) == (2, "pairs found")
    assert found["expected_by_chance"] < 0.1
    # The control says that two of the release's own people are not recognised.
    assert (found["control"]["hits"], found["control"]["passed"]) == (18, False)


def test_right_labels_pass(tmp_path: Path) -> None:
    labels = audit(release(tmp_path / "a", range(12)))["linkage"]["labels"]
    assert labels["double_tested"]
    assert labels["apart_tested"]
    assert (labels["double_pairs"], labels["apart_labels"]) == (0, 0)
