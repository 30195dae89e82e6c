"""Who is linked with whom, counted by person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.contrasts import NAME, Task, linked, table


def rows(
    contrast: str, visit: str, people: int, noise: float, seed: int
) -> dict[Task, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {}
    for person in range(people):
        own = np.random.default_rng(person).normal(size=200)
        task = Task("real", str(person), visit, contrast, Path(f"{contrast}{visit}{person}"))
        made[task] = own + noise * rng.normal(size=200)
    return made


def test_people_are_linked_and_counted_once() -> None:
    probes = rows("T1W", "1", 8, 0.3, 1) | rows("T1W", "2", 8, 0.3, 2)
    gallery = rows("FLAIR", "1", 8, 0.3, 3) | rows("FLAIR", "2", 8, 0.3, 4)
    for centred in (False, True):
        found = linked(probes, gallery, "other", centred)
        assert found is not None
        assert (found["hits"], found["n"], found["searched"]) == (8, 8, 8)
        assert found["lowest_same"] > found["highest_different"]
    noise = linked(probes, rows("FLAIR", "2", 8, 1e4, 5), "other", True)
    assert noise is not None
    assert noise["hits"] <= 4


def test_one_wrong_scan_makes_a_person_missed() -> None:
    probes = rows("T1W", "1", 6, 0.2, 1) | rows("T1W", "2", 6, 0.2, 2)
    spoilt = next(task for task in probes if (task.person, task.visit) == ("3", "2"))
    probes[spoilt] = np.random.default_rng(4).normal(size=200)
    gallery = rows("FLAIR", "1", 6, 0.2, 3) | rows("FLAIR", "2", 6, 0.2, 4)
    found = linked(probes, gallery, "other", False)
    assert found is not None
    assert (found["hits"], found["n"]) == (5, 6)


@pytest.mark.parametrize("visits", ["same", "other"])
def test_only_the_wanted_visit_counts(visits: str) -> None:
    probes, gallery = rows("T1W", "1", 5, 0.2, 1), rows("T1W", "1", 5, 0.2, 1)
    # The only scan of the same visit is the probe itself, and it is left out.
    assert linked(probes, gallery, visits, False) is None


def test_names_and_table() -> None:
    found = NAME.fullmatch("ms-long-01_visit-2_FLAIR.nii.gz")
    assert found is not None
    assert found.groups() == ("ms-long-01", "2", "FLAIR")
    entry = linked(rows("T1W", "1", 5, 0.2, 1), rows("T2W", "2", 5, 0.2, 2), "other", False)
    ways = ("brain_contrast", "brain_edges", "brain_high", "brain")
    entries = {f"{way}{mean}": entry for way in ways for mean in ("", ", mean removed")}
    text = table({"T1W finds T2W, other visit": entries})
    assert "5 of 5" in text
    assert "| 0.20 |" in text
