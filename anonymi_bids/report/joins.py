"""Words about scans that look like one person: labels that do not fit, and a second dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anonymi_bids.core.frequency import count_people, per_hundred

Linkage = Mapping[str, Any]

TONES = {"pairs found": "bad", "none found": "good", "cannot tell": "open"}


def label_words(linkage: Linkage) -> str:
    """Say whether labels and brains fit each other; empty where nothing was tested."""
    labels = linkage["labels"]
    if not linkage["tested"] and not labels["double_tested"]:
        return ""
    said = []
    if not labels["double_tested"]:
        said.append("Whether one brain stands under two labels cannot be told with so few people.")
    elif labels["double_pairs"]:
        said.append(
            "Pairs of labels in this release that look like one brain: "
            f"{labels['double_pairs']}. Each is the same person twice, a mix-up of labels, or "
            "close kin. Check before sharing."
        )
    else:
        said.append("No two labels in this release look like one brain.")
    if labels["repeat_labels"] and labels["apart_tested"]:
        apart, n = labels["apart_labels"], labels["repeat_labels"]
        if apart:
            said.append(
                f"Labels whose visits do not look like one brain: {apart} of {n}. Each is a "
                "mix-up of labels or a spoilt scan. Check before sharing."
            )
        else:
            said.append(
                f"The visits of each of the {n} labels with more than one look like one brain."
            )
    if labels["double_pairs"] or labels["apart_labels"]:
        said.append("Which ones they are stands in private/audit-links.json.")
    return " ".join(said)


def second_dataset_words(linkage: Linkage) -> dict[str, Any]:
    """Write the section about a second dataset.

    Returns
    -------
    dict
        ``shown`` (bool), ``result``, ``tone``, ``lines`` (list of str), ``header`` and ``rows`` of
        a table, ``captions`` (one for each row's chart), ``note``; all but ``shown`` empty where
        no second dataset was given.
    """
    second = linkage["second_dataset"]
    if second is None:
        blank: dict[str, Any] = {"shown": False, "result": "", "tone": "open", "note": ""}
        return blank | {"lines": [], "header": [], "rows": [], "captions": []}
    lines = [second["sentence"], _what_it_was(second)]
    lines += [str(entry["sentence"]) for entry in second["compared"]]
    rows = [_row(entry) for entry in second["compared"]]
    return {
        "shown": True,
        "result": second["result"].capitalize(),
        "tone": TONES[second["result"]],
        "lines": lines,
        "header": [
            "Compared",
            "People here",
            "People there",
            "Pairs that look like one",
            "By chance",
            "Best of each other",
            "Control",
            "Result",
        ],
        "rows": rows,
        "captions": [_caption(entry) for entry in second["compared"]],
        "note": (
            "Labels of two datasets are not believed, so nobody is counted as found: a pair is "
            "two scans that look like one person, be it the same one, a twin or close kin. By "
            "chance: how many such pairs would come out if nobody were in both. Best of each "
            "other: pairs in which each is the other's most similar, whether or not they look "
            "like one person. Control: people whose originals are recognised from another visit "
            "by the same comparison; if it fails, finding nobody means nothing."
        ),
    }


def _caption(entry: Mapping[str, Any]) -> str:
    """Say what the chart of one comparison shows."""
    line = (
        "There is no line: from which score on two scans look like one person could not be told."
        if entry["threshold"] is None
        else "Pairs right of the dashed line look like one person."
    )
    own = (
        ""
        if entry["scores"]["same"]
        else " Scores of the same person are not drawn: they are too few."
    )
    return (
        f"{_compared(entry)}: how similar pairs of scans are, inside the release and between it "
        f"and the second dataset. {line}{own}"
    )


def _compared(entry: Mapping[str, Any]) -> str:
    contrast = "" if entry["contrast"] == "any" else f", {entry['contrast']}"
    return f"{entry['title']}{contrast}"


def _what_it_was(second: Mapping[str, Any]) -> str:
    what = "de-identified" if second["kind"] == "released" else "as they are"
    whose = count_people(second["people"])
    text = f"The second dataset holds {second['images']} usable scans ({what}) of {whose}."
    if second["unusable"]:
        text += f" {second['unusable']} more could not be used."
    return text


def _row(entry: Mapping[str, Any]) -> list[str]:
    control, chance = entry["control"], entry["expected_by_chance"]
    low = per_hundred(control["interval"][0])
    alike = f"{entry['pairs_alike']} of {entry['pairs']}"
    return [
        _compared(entry),
        str(entry["people"]),
        str(entry["others"]),
        "not known" if entry["threshold"] is None else alike,
        "not known" if chance is None else ("none" if chance < 0.01 else f"about {chance:.2g}"),
        str(entry["best_of_each_other"]),
        f"{control['hits']} of {control['n']} (lower bound {low} of 100, "
        f"{'passed' if control['passed'] else 'failed'})",
        entry["result"],
    ]
