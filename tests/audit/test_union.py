"""Several attacks at once find more people, and guess better too; both must be counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from anonymi_bids.audit.rates import hit_probability, ranks
from anonymi_bids.audit.union import union_rows

N = 40
PEOPLE = tuple(f"{i:02d}" for i in range(N))


def outcome(name: str, scores: np.ndarray, people: tuple[str, ...] = PEOPLE) -> Any:
    """An attack whose scores (released × known) are the same before and after."""
    scores = np.asarray(scores, np.float32)
    rank, ties = ranks(scores.T, np.arange(len(people)))
    found = SimpleNamespace(
        scores=scores, first=scores.argmax(axis=0), hits=hit_probability(rank, ties)
    )
    sure = SimpleNamespace(
        scores=np.eye(len(people), dtype=np.float32),
        first=np.arange(len(people)),
        hits=np.ones(len(people)),
    )
    return SimpleNamespace(
        name=name, duel=SimpleNamespace(people=people), after=found, before=sure
    )


def noise(seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, n))


def finds(*who: int) -> np.ndarray:
    """Scores by which exactly these people are found."""
    scores = np.full((N, N), 0.5) + 0.1 * np.eye(N)[np.roll(np.arange(N), 1)]
    scores[list(who), list(who)] = 1
    return scores


def rows(*outcomes: Any, traits: Any = None, limits: Any = None) -> dict[str, dict[str, Any]]:
    limits = {o.name: 0.09 for o in outcomes} if limits is None else limits
    made = union_rows(
        outcomes, traits or {}, np.random.default_rng(0), limits=limits, control_limit=0.5
    )
    return {row["name"]: row for row in made}


def test_who_is_found_by_any_attack_counts_once() -> None:
    both = rows(outcome("a", finds(1, 2, 3)), outcome("b", finds(3, 4)))
    assert set(both) == {"faces", "all"}
    assert both["faces"]["hits"] == both["all"]["hits"] == 4
    assert both["faces"]["n"] == N
    assert both["faces"]["result"] == "does not meet"
    assert both["all"]["result"] == "sets the access level"


def test_guessing_is_multiplied_by_the_number_of_attacks() -> None:
    one = rows(outcome("a", noise(1)), outcome("a2", noise(1)))["faces"]
    three = rows(*(outcome(f"a{i}", noise(i)) for i in range(3)))["faces"]
    # Twice the same attack guesses no better than once; three that differ almost three times.
    assert one["chance"] == pytest.approx(1 / N, abs=0.004)
    assert three["chance"] == pytest.approx(1 - (1 - 1 / N) ** 3, abs=0.006)
    assert three["p_value"] > 0.01


def test_traits_shrink_the_gallery_and_raise_chance() -> None:
    groups = {person: i // 4 for i, person in enumerate(PEOPLE)}
    found = rows(outcome("a", noise(3)), traits=groups)["faces_with_traits"]
    assert found["searched"] == 4
    assert found["chance"] == pytest.approx(1 / 4, abs=0.02)
    assert found["p_value"] > 0.01
    assert abs(found["excess"]) < 0.3


def test_whoever_is_alone_in_the_table_is_found_and_nothing_is_in_excess() -> None:
    alone = {person: i for i, person in enumerate(PEOPLE)}
    found = rows(outcome("a", finds()), traits=alone)["faces_with_traits"]
    assert found["hits"] == N
    assert found["chance"] == 1
    assert found["excess"] is None


def test_traits_never_hide_a_person_who_was_found() -> None:
    groups = {person: i % 3 for i, person in enumerate(PEOPLE)}
    made = rows(
        outcome("a", finds(1, 2, 3)), outcome("b", finds(5)), traits=groups, limits={"a": 0.09}
    )
    assert made["all_with_traits"]["hits"] >= made["all"]["hits"] == 4
    assert made["all"]["threshold"] is None
    assert "faces" not in made


def test_people_whom_one_attack_misses_count_by_the_other() -> None:
    few = outcome("b", np.eye(5), PEOPLE[10:15])
    assert rows(outcome("a", finds(1)), few)["all"]["hits"] == 6


def test_one_attack_and_no_traits_make_no_union() -> None:
    assert rows(outcome("a", noise(1))) == {}
    assert rows() == {}
