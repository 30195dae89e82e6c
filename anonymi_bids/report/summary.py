"""The first page's table, and what is said in red."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anonymi_bids.core.frequency import per_hundred

TONES = {"meets": "good", "does not meet": "bad"}

CONTROL_TONES = {"passed": "", "too few": "open", "failed": "bad"}
"""Positive control → colour class."""


def tone(result: str) -> str:
    """Give the colour class of a result: good, bad or open."""
    return TONES.get(result, "open")


UNION_TITLES = {
    "faces": "Any of the attacks on faces",
    "all": "Any of these attacks",
    "faces_with_traits": "Faces, knowing the table of participants",
    "all_with_traits": "Any attack, knowing the table of participants",
}


def alarms(audit: Mapping[str, Any]) -> list[list[str]]:
    """Say which attacks give no all-clear, because of their control on the originals.

    Returns
    -------
    list of [tone, sentence]
        ``bad`` where a control failed, ``open`` where it found all people but they were too few.
    """
    said = []
    failed = [
        f"\u201c{entry['title']}\u201d found {control['hits']} of {control['n']} (at least "
        f"{per_hundred(control['limit'])} of 100 must be shown, "
        f"{per_hundred(control['interval'][0])} are)"
        for entry, control in _controls(audit, "failed")
    ]
    if failed:
        said.append(
            [
                "bad",
                f"Control failed. On the untouched originals {'; '.join(failed)}. An attack that "
                "is not shown to work gives no all-clear.",
            ]
        )
    few = [
        f"\u201c{entry['title']}\u201d found all {control['n']}, which shows at least "
        f"{per_hundred(control['interval'][0])} of 100; {per_hundred(control['limit'])} must be "
        f"shown, with {control['people_needed']} people or more"
        for entry, control in _controls(audit, "too few")
    ]
    if few:
        said.append(
            [
                "open",
                f"Too few people for the control. On the untouched originals {'; '.join(few)}. "
                "What so few people show gives no all-clear.",
            ]
        )
    return said


def _controls(audit: Mapping[str, Any], status: str) -> list[tuple[Any, Any]]:
    return [
        (entry, entry["positive_control"])
        for entry in audit["attacks"]
        if entry["positive_control"]["status"] == status
    ]


def recipients(audit: Mapping[str, Any]) -> list[dict[str, str]]:
    """Write the verdict for each class of recipients; a reason already given is not repeated."""
    said = list(audit["verdict"]["reasons"])
    rows = []
    for row in audit["verdict"]["recipients"]:
        rows.append(
            {
                "who": row["who"],
                "limit": per_hundred(row["limit"]),
                "result": row["result"],
                "tone": tone(row["result"]),
                "reason": "as above" if row["reason"] in said else row["reason"],
            }
        )
        said.append(row["reason"])
    return rows


def threat(entry: Mapping[str, Any]) -> str:
    """Say in a few words who attacks."""
    if "title" in entry:
        if entry["name"] == "brain_contrast":
            return "has a scan of the brain, other visit and contrast"
        if entry["name"] == "face_photo":
            return "has a photograph"
        held = {
            "face_shape": "face",
            "face_recogniser": "face",
            "head_shape": "head",
            "brain_linkage": "brain",
        }
        return f"has a scan of the {held.get(entry['name'], 'head')}, other visit"
    if entry["name"].endswith("_with_traits"):
        return f"the same, searching {entry['searched']:.3g} people alike"
    return "tries them all"


def summary_row(entry: Mapping[str, Any]) -> dict[str, str]:
    """Write one attack, or union of attacks, for the table on the first page."""
    low, high = (per_hundred(bound) for bound in entry["interval"])
    control, limit, excess = entry["positive_control"], entry["threshold"], entry["excess"]
    return {
        "title": entry.get("title") or UNION_TITLES[entry["name"]],
        "threat": threat(entry),
        "n": str(entry["n"]),
        "hits": str(entry["hits"]),
        "interval": f"{low} to {high}",
        "upper": per_hundred(entry["upper95"])
        + ("" if limit is None else f"; limit {per_hundred(limit)}"),
        "chance": per_hundred(entry["chance"]),
        "excess": _signed(excess),
        "control": f"{control['hits']} of {control['n']}",
        "control_status": control["status"],
        "control_tone": CONTROL_TONES[control["status"]],
        "result": entry["result"],
        "tone": tone(entry["result"]),
    }


def _signed(excess: float | None) -> str:
    """Write an excess over guessing; it may lie below zero."""
    if excess is None:
        return "\u2013"
    return ("\u2212" if excess < 0 else "") + per_hundred(abs(excess))


def table_risk(metadata: Mapping[str, Any]) -> list[list[str]]:
    """Write the three attackers of tables: who, highest risk, mean risk."""
    risk = metadata["risk"]
    if risk is None:
        return []
    at_most = "" if risk["population_known"] else "at most "
    return [
        [
            "Knows that the person took part (prosecutor)",
            f"{per_hundred(risk['prosecutor_max'])} of 100",
            f"{per_hundred(risk['prosecutor_mean'])} of 100",
        ],
        [
            "Does not know whether the person took part (journalist)",
            f"{at_most}{per_hundred(risk['journalist_max'])} of 100",
            f"{at_most}{per_hundred(risk['journalist_mean'])} of 100",
        ],
        [
            "Matches the whole table with a register (marketer)",
            "\u2013",
            f"{at_most}{per_hundred(risk['marketer'])} of 100",
        ],
    ]
