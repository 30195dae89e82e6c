"""Words of the report: natural frequencies, never a bare percentage, never "anonymous"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anonymi_bids.core.frequency import per_hundred

HEADLINES = {
    "meets": "The release meets the stated limit for faces.",
    "does not meet": "The release does not meet the stated limit for faces.",
    "inconclusive": "It cannot be decided whether the release meets the limit for faces.",
}

TONES = {"meets": "good", "does not meet": "bad"}


def tone(result: str) -> str:
    """Give the colour class of a result: good, bad or open."""
    return TONES.get(result, "open")


def p_value(value: float) -> str:
    """Write a p-value without false precision."""
    return "p\u00a0<\u00a00.001" if value < 0.001 else f"p\u00a0=\u00a0{value:.3f}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Join names as in a sentence."""
    names = [str(name) for name in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def plain_words(entry: Mapping[str, Any]) -> str:
    """Say one attack's outcome as natural frequencies with one denominator."""
    low, high = (per_hundred(bound) for bound in entry["interval"])
    who = {
        "face_shape": "who holds a scan of their faces from another visit",
        "brain_linkage": "who holds another scan of their brains",
    }.get(entry["name"], "who attacks like this")
    if entry["hits"] == 0:
        span = f"fewer than {per_hundred(entry['upper95'])}"
    else:
        span = f"between {low} and {high}"
    return (
        f"Of 100 people like these, someone {who} would point at the right released image for "
        f"{span}, among {entry['n']} to choose from; by guessing, for "
        f"{per_hundred(entry['chance'])}; before anything was removed, for between "
        f"{per_hundred(entry['positive_control']['interval'][0])} and "
        f"{per_hundred(entry['positive_control']['interval'][1])}."
    )


def icon_total(entry: Mapping[str, Any]) -> int:
    """Give the number of dots in a picture: all people, at most 100."""
    return min(100, int(entry["n"]))


def icon_count(entry: Mapping[str, Any], part: str) -> int:
    """Give the number of filled dots: people found after, ``positive_control`` or ``chance``."""
    total = icon_total(entry)
    if part == "chance":
        return round(entry["chance"] * total)
    found = entry[part] if part else entry
    share = found["hits"] / max(1, found["n"])
    # Somebody who was found must be seen.
    return max(round(share * total), 1 if found["hits"] else 0)


def questions(audit: Mapping[str, Any]) -> list[dict[str, str]]:
    """Answer the three questions of Opinion 05/2014, and what the law's texts add to them."""
    faces = next((entry for entry in audit["attacks"] if entry["name"] == "face_shape"), None)
    singling = (
        f"By the face: {faces['hits']} of {faces['n']} people came out first, by guessing "
        f"{per_hundred(faces['chance'])} of 100. "
        if faces
        else "By the face: not tested. "
    )
    return [
        {
            "question": "Can one person be singled out? (WP216)",
            "answer": singling
            + str(audit["metadata"]["sentence"])
            + " A brain scan is in itself unlike that of anybody else.",
        },
        {
            "question": "Can records about one person be linked? (WP216)",
            "answer": str(audit["linkage"]["sentence"]),
        },
        {
            "question": "Can something be inferred about a person? (WP216)",
            "answer": "Age, sex and some diseases can be estimated from a brain scan, and nothing "
            "here prevents that. It was not tested.",
        },
        {
            "question": "With means reasonably likely to be used? (GDPR, recital 26)",
            "answer": "The attacks need a second scan of the person, a common computer, free "
            "software and some hours of a skilled person.",
        },
        {
            "question": "Are full-face or comparable images left? (HIPAA, 164.514(b)(2)(Q))",
            "answer": "Faces were removed or replaced before release by the method "
            f"{listed(audit['methods']['defacing'])}"
            f"{', ears included' if audit['methods']['ears'] else ', ears left'}; each image was "
            "checked by gates of its own. How well that works is the face attack's figure.",
        },
    ]


def methods_text(audit: Mapping[str, Any]) -> str:
    """Write the methods of this very run, ready to be copied into a paper or an application."""
    kinds = ", ".join(
        f"{count} {name}" for name, count in audit["methods"]["images_by_contrast"].items()
    )
    parts = [
        f"Images were de-identified with {audit['methods']['program']} (policy {audit['policy']}, "
        f"method {listed(audit['methods']['defacing'])}"
        f"{', ears included' if audit['methods']['ears'] else ''}).",
        f"The release holds {audit['participants']['images']} images"
        f"{f' ({kinds})' if kinds else ''} of {audit['participants']['released']} people.",
    ]
    for entry in audit["attacks"]:
        visits, control = entry["second_visits"], entry["positive_control"]
        low, high = (per_hundred(bound) for bound in entry["interval"])
        parts.append(
            f"{entry['title']} ({entry['score']}): released images were compared with originals "
            f"of other visits ({visits['real']} real, {visits['simulated']} simulated), never "
            f"with the original of the same acquisition; {entry['hits']} of {entry['n']} people "
            f"ranked first (exact 95 % interval {low} to {high} of 100; chance "
            f"{per_hundred(entry['chance'])} of 100; untouched originals {control['hits']} of "
            f"{control['n']}; names shuffled {entry['negative_control']['shuffles']} times)."
        )
    return " ".join(parts)
