"""Rates by group: known answers, groups that are too small, ages in years and bands."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anonymi_bids.audit.subgroups import FEWEST, age_group, subgroups_entry


def outcome(hits: list[float], name: str = "face_shape") -> Any:
    people = tuple(f"p{n:02d}" for n in range(len(hits)))
    return SimpleNamespace(
        name=name,
        duel=SimpleNamespace(people=people),
        after=SimpleNamespace(hits=np.array(hits, float)),
    )


def table(**columns: list[str]) -> list[dict[str, str]]:
    n = len(next(iter(columns.values())))
    return [
        {"participant_id": f"sub-p{i:02d}"} | {k: v[i] for k, v in columns.items()}
        for i in range(n)
    ]


def test_a_group_that_is_found_more_often_is_seen() -> None:
    sexes = ["F"] * 12 + ["M"] * 14
    found = subgroups_entry(
        [outcome([1.0] * 9 + [0.0] * 3 + [1.0] + [0.0] * 13)], table(sex=sexes)
    )
    women, men = found["rows"]
    assert (women["group"], women["hits"], women["n"]) == ("F", 9, 12)
    assert (men["group"], men["hits"], men["n"]) == ("M", 1, 14)
    expected = stats.fisher_exact([[9, 3], [1, 13]]).pvalue
    assert women["p_value"] == men["p_value"] == pytest.approx(expected, abs=1e-4)
    assert found["too_small"] == 0


def test_small_groups_are_counted_and_not_shown() -> None:
    sexes = ["F"] * (FEWEST - 1) + ["M"] * 12
    found = subgroups_entry([outcome([0.0] * 22)], table(sex=sexes, site=["A", "B"] * 11))
    assert {(row["trait"], row["group"]) for row in found["rows"]} == {
        ("sex", "M"),
        ("site", "A"),
        ("site", "B"),
    }
    assert found["too_small"] == 1


def test_one_group_alone_is_no_group() -> None:
    assert not subgroups_entry([outcome([0.0] * 30)], table(sex=["F"] * 30))["rows"]
    assert not subgroups_entry([outcome([0.0] * 30)], table(sex=["n/a"] * 30))["rows"]
    assert not subgroups_entry([outcome([0.0] * 30)], [])["rows"]


@given(st.lists(st.booleans(), min_size=22, max_size=60))
def test_groups_together_are_everybody(hits: list[bool]) -> None:
    sexes = ["F", "M"] * 30
    rows = subgroups_entry([outcome([float(h) for h in hits])], table(sex=sexes))["rows"]
    shown = [row for row in rows if row["trait"] == "sex"]
    assert sum(row["n"] for row in shown) == len(hits)
    assert sum(row["hits"] for row in shown) == sum(hits)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("17.9", "under 18"),
        ("18", "18 to 39"),
        ("39.9", "18 to 39"),
        ("89+", "65 or older"),
        ("60-64", "40 to 64"),
        ("35-44", ""),
        ("n/a", ""),
        ("", ""),
        ("-3", ""),
        ("nan", ""),
        ("old", ""),
    ],
)
def test_age_groups(value: str, name: str) -> None:
    assert age_group(value) == name
