"""What the report says of labels and of a second dataset: plain, and never a name."""

from __future__ import annotations

import re
from typing import Any

import pytest

from anonymi_bids.report.figures import joins_chart
from anonymi_bids.report.joins import label_words, second_dataset_words
from anonymi_bids.report.pages import render_page, render_paper

COMPARED = {
    "compared": "brain_linkage",
    "title": "Brain linked with another scan",
    "contrast": "T1w",
    "score": "correlation of brains",
    "people": 20,
    "others": 18,
    "pairs": 360,
    "threshold": 0.5,
    "threshold_from": "densities",
    "false_match_rate": 1e-5,
    "expected_by_chance": 0.0036,
    "pairs_alike": 3,
    "people_alike": 3,
    "best_of_each_other": 9,
    "control": {
        "n": 20,
        "hits": 20,
        "rate": 1.0,
        "interval": [0.83, 1.0],
        "upper95": 1.0,
        "limit": 0.8,
        "passed": True,
        "simulated": 0,
    },
    "scores": {
        "edges": [-1.0, -0.5, 0.0, 0.5, 1.0],
        "between": [0, 300, 57, 3],
        "same": [0, 0, 2, 18],
        "different": [10, 350, 20, 0],
    },
    "separation_of_ways": {},
    "result": "pairs found",
    "sentence": "Brains, T1w: of 360 pairs 3 look like one person.",
}
SECOND = {
    "images": 18,
    "unusable": 2,
    "people": 18,
    "kind": "original",
    "result": "pairs found",
    "sentence": "Yes, as far as this can be told: <b>some</b> scans look like the same person.",
    "compared": [COMPARED],
}


def test_second_dataset_stands_in_page_and_paper(audit: dict[str, Any]) -> None:
    assert "second dataset?" not in render_page(audit)
    audit["linkage"]["second_dataset"] = SECOND
    page = render_page(audit)
    section = page[page.index("Can it be joined with the second dataset?") :]
    assert '<span class="result bad">Pairs found.</span>' in section
    assert "<td>3 of 360</td>" in section
    assert "<td>20 of 20 (lower bound 83 of 100, passed)</td>" in section
    assert "2 more could not be used" in section
    assert "<b>some</b>" not in section
    assert re.search(r"\bsub-\w", section) is None
    assert "between 0.5 and 1</title>" in section
    assert "Pairs right of the dashed line look like one person." in section
    assert render_paper(audit).startswith(b"%PDF")


def test_a_chart_shows_no_line_and_no_same_person_where_there_is_none() -> None:
    few = COMPARED | {"threshold": None, "scores": COMPARED["scores"] | {"same": []}}
    second = SECOND | {"compared": [few]}
    assert "There is no line" in second_dataset_words({"second_dataset": second})["captions"][0]
    with_line, without = joins_chart(COMPARED), joins_chart(few)
    assert "same person: 90 of 100 pairs" in with_line
    assert "same person: " not in without
    assert "stroke-dasharray" in with_line
    assert "stroke-dasharray" not in without


def test_no_threshold_is_no_zero(audit: dict[str, Any]) -> None:
    unknown = COMPARED | {"threshold": None, "expected_by_chance": None, "pairs_alike": 0}
    audit["linkage"]["second_dataset"] = SECOND | {
        "compared": [unknown | {"result": "cannot tell"}]
    }
    words = second_dataset_words(audit["linkage"])
    assert words["rows"][0][3:5] == ["not known", "not known"]
    assert words["rows"][0][-1] == "cannot tell"


def test_nobody_is_called_found() -> None:
    words = second_dataset_words({"second_dataset": SECOND})
    text = " ".join([*words["lines"], *words["header"], words["note"]])
    assert "rank" not in text
    assert "recognised people" not in text
    assert "not believed" in words["note"]


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, "No two labels"),
        ({"double_pairs": 2}, "look like one brain: 2."),
        ({"double_tested": False}, "cannot be told"),
        ({"apart_labels": 1}, "do not look like one brain: 1 of 9"),
        ({"apart_tested": False}, "No two labels"),
    ],
)
def test_labels(changes: dict[str, Any], needed: str) -> None:
    labels = {"double_tested": True, "double_pairs": 0, "repeat_labels": 9, "apart_tested": True}
    labels |= {"apart_labels": 0, "limits": []} | changes
    text = label_words({"tested": True, "labels": labels})
    assert needed in text
    assert ("audit-links.json" in text) == bool(labels["double_pairs"] or labels["apart_labels"])


def test_nothing_tested_says_nothing() -> None:
    labels = {"double_tested": False, "double_pairs": 0, "repeat_labels": 0}
    labels |= {"apart_tested": False, "apart_labels": 0, "limits": []}
    assert label_words({"tested": False, "labels": labels}) == ""
