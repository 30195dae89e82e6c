"""The reference cohort tells a weak method from a strong one, and counts whom it has."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

from benchmarks import common
from benchmarks.audit import cohort, manifest, table

ABOUT = {"seed": 1, "spacing_mm": 1.3, "sources": "new"}
PEOPLE = 9


def look(face: np.ndarray, embedding: np.ndarray, rng: np.random.Generator) -> dict:
    depth = (60 + face + 0.3 * rng.normal(size=face.shape)).astype(np.float32)
    found = np.full(128, np.nan) if rng.random() < 0.3 else embedding
    forced = embedding + 0.001 * rng.normal(size=128)
    return {"face": depth, "whole": depth, "score": 1.0, "found": found, "forced": forced}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Method ``blur`` leaves everything, ``mask`` nothing; of ``mask`` an older run has more."""
    places = [tmp_path_factory.mktemp("kept") / f"{name}_seed-1_1.3mm" for name in ("new", "old")]
    rng = np.random.default_rng(4)
    shared = 5 * rng.normal(size=(12, 14))
    nobody = look(shared, rng.normal(size=128), rng)
    for place in places:
        place.mkdir()
    for number in range(PEOPLE):
        face, embedding = shared + 3 * rng.normal(size=shared.shape), rng.normal(size=128)
        kept = {
            "visit-1_T1w_before": look(face, embedding, rng),
            "visit-2_T1w_before": look(face, embedding, rng),
            "visit-1_T1w_blur": look(face, embedding, rng),
            "visit-1_T1w_mask": nobody,
        }
        name = f"person-{number:03d}"
        if number < PEOPLE - 2:
            for stem, content in kept.items():
                np.savez(places[0] / f"{name}_{stem}.npz", **content)
        before = {f"{k}_before": v for k, v in kept["visit-1_T1w_before"].items()}
        after = {f"{k}_after": v for k, v in nobody.items()}
        second = {f"{k}_before": v for k, v in kept["visit-2_T1w_before"].items()}
        np.savez(places[1] / f"{name}_visit-1_T1w.npz", **before, **after)
        np.savez(places[1] / f"{name}_visit-2_T1w.npz", **second)
    return places


def test_weak_and_strong_methods_are_told_apart(folders: list[Path]) -> None:
    found = cohort.make_cohort(folders, 200, ("mask", "newface", "blur"), ABOUT)
    by = {(entry["method"], entry["name"]): entry for entry in found["attacks"]}
    assert {method for method, _ in by} == {"mask", "blur"}
    for name in cohort.TITLES:
        blur, mask = by["blur", name], by["mask", name]
        # 200 were asked for; the number written is that of the people who are there.
        assert (blur["n"], mask["n"]) == (PEOPLE - 2, PEOPLE)
        assert blur["hits"] == blur["n"]
        assert mask["hits"] <= 4
        assert blur["positive_control"]["status"] == "passed"
        assert (blur["current"], mask["current"]) == (True, False)
    assert found["people"] == PEOPLE
    for row in found["compared"]:
        assert (row["methods"], row["n"], row["sources"]) == (["mask", "blur"], PEOPLE - 2, "new")
        assert row["found_after_first_only"] == 0
        assert row["found_after_second_only"] >= 3
    page = table.page(found)
    assert "`old` (earlier)" in page
    assert "`new` |" in page


def test_nobody_gives_an_empty_cohort(tmp_path: Path) -> None:
    found = cohort.make_cohort([tmp_path / "x"], 5, ("mask",), ABOUT)
    assert (found["people"], found["attacks"], found["compared"]) == (0, [], [])


def test_the_manifest_gets_one_entry_and_nothing_else_changes(tmp_path: Path) -> None:
    other = '\n[files."a"]\nsha256 = "0"\n\n[files."b"]\nsha256 = "1"\n'
    path = tmp_path / "reference_cohort.json"
    (tmp_path / "manifest.toml").write_text(other)
    for content in ("{}", "[1]"):
        path.write_text(content)
        manifest.enter(path, {"people": 3, "program": "p"})
        text = (tmp_path / "manifest.toml").read_text()
        entry = tomllib.loads(text)["files"][path.name]
        assert entry["sha256"] == hashlib.sha256(content.encode()).hexdigest()
        assert "3 digital people" in entry["origin"]
        # Writing the cohort does not make the kept results stale.
        assert common.without_cohort(text.encode()).decode() == other


def test_the_shipped_cohort_is_what_the_page_says() -> None:
    shipped = common.read_json(common.ROOT / "anonymi_bids" / "data" / "reference_cohort.json")
    page = (common.DOCS / "audit.md").read_text(encoding="utf-8")
    assert table.page(shipped) == page
