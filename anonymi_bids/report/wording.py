"""Words of the report: natural frequencies, never a bare percentage, never "anonymous"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anonymi_bids.core.frequency import per_hundred
from anonymi_bids.report import checklists, details, joins, standards
from anonymi_bids.report.summary import UNION_TITLES, alarms, table_risk

HEADLINES = {
    "meets": "The release meets the stated limit for faces.",
    "does not meet": "The release does not meet the stated limit for faces.",
    "inconclusive": "It cannot be decided whether the release meets the limit for faces.",
}


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
        "head_shape": "who holds a scan of their whole heads from another visit",
        "face_recogniser": "who shows another visit's scans to a face recogniser",
        "face_photo": "who holds photographs of them and an open face recogniser",
        "brain_linkage": "who holds another scan of their brains",
        "brain_contrast": "who holds a scan of their brains in another contrast",
        "head_refilled": "who puts an average face on what is left and holds scans of their heads",
        "face_from_model": "who works out faces from the rest of the heads by a model",
        "face_from_others": "who has learnt on other people to work out faces from the rest",
        "face_regressed": "who has learnt on other people what the method does to a face",
        "face_informed": "who has learnt on other people how to compare changed faces",
        "face_deblurred": "who undoes the smoothing of the faces",
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


def one_line(entry: Mapping[str, Any]) -> str:
    """Put n, hits, interval, guessing, control and limit on one line."""
    control = entry["positive_control"]
    text = (
        f"{entry['hits']} of {entry['n']} found (with 95\u00a0% confidence between "
        f"{_bounds(entry)}); by guessing {per_hundred(entry['chance'])} of 100; on the untouched "
        f"originals {control['hits']} of {control['n']}, between {_bounds(control)} (control: "
        f"{control['status']})."
    )
    if entry["threshold"] is not None:
        text += (
            f" Limit: the upper bound at most {per_hundred(entry['threshold'])} of 100; it is "
            f"{per_hundred(entry['upper95'])}."
        )
    return text


def _bounds(entry: Mapping[str, Any]) -> str:
    low, high = (per_hundred(bound) for bound in entry["interval"])
    return f"{low} and {high} of 100"


def visits_line(entry: Mapping[str, Any]) -> str:
    """Say which second visits were real, who could not be attacked, and the other direction."""
    visits, missing, other = (
        entry["second_visits"],
        entry["not_acquired"],
        entry["other_direction"],
    )
    parts = [f"Second visits: {visits['real']} real, {visits['simulated']} simulated"]
    if visits["simulated"]:
        parts[0] += (
            " (the same scan moved, with new noise: easier for the attacker than a real second "
            "visit)"
        )
    if entry["name"] == "face_photo":
        parts[0] = f"Known by photographs: {visits['real']} people"
    if missing.get("photograph"):
        parts.append(
            f"People left out, because no face was found on their photographs: "
            f"{missing['photograph']}"
        )
    if "detector" in entry:
        fired = {when: entry["detector"][when]["hits"] for when in ("before", "after")}
        parts.append(
            f"A face detector fired on {fired['before']} of {entry['n']} people before and "
            f"{fired['after']} after, which proves nothing: all were compared, aligned by force"
        )
    if missing["original"]:
        parts.append(
            f"People who could not be attacked, because no skin was seen on their originals: "
            f"{missing['original']}"
        )
    if missing["released"]:
        parts.append(
            f"People on whose released images no skin was seen, counted as not found: "
            f"{missing['released']}"
        )
    parts.append(f"The other way round, naming released images: {other['hits']} of {other['n']}")
    return ". ".join(parts) + "."


LOWER_BOUND = (
    "The attacks are those of this program, and open tools understate commercial ones by about "
    "40 people in 100: on the same 182 people, commercial face recognisers found 98 of 100 in "
    "untouched scans where open ones found 59 of 100 (doi:10.1016/j.neuroimage.2025.121476). "
    "Someone with better tools, or with knowledge about a person, will find more. That an attack "
    "found nobody does not mean that nobody can be found."
)

TABLE_NOTE = (
    "People, never images, are counted. \u201cFound\u201d means: somebody who holds a person's "
    "scan of another visit searches the release, and that person's image comes first. Intervals "
    "are exact (Clopper\u2013Pearson). The positive control is the same attack on the images "
    "before anything was removed; if it fails, the attack proves nothing. With names shuffled, "
    "and with nothing but the air round the head, an attack must do no better than guessing."
)


def limits(audit: Mapping[str, Any]) -> list[str]:
    """List what limits the audit itself."""
    faces = [entry["threshold"] for entry in audit["attacks"] if entry["threshold"] is not None]
    stated = f"The limit of {per_hundred(faces[0])} of 100" if faces else "A limit"
    return [
        "The people at hand stand for people like them. Children, other ancestries, other "
        "scanners or a face with a scar may be recognised more or less often.",
        "Faces are compared as surfaces without hair. A photograph shows hair but lacks true "
        "depth.",
        "Surfaces are laid over each other by brain and skull, placed on the originals; an "
        "attacker without these would have it harder.",
        f"{stated} for faces is this project's analogy to the cell sizes of table release; no "
        "law names it.",
        "This is technical evidence for a decision, not a legal opinion.",
    ]


def doubles(audit: Mapping[str, Any]) -> str:
    """Say whether labels and brains of the release fit each other; empty if not tested."""
    return joins.label_words(audit["linkage"])


def all_words(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the texts that the page and the paper share."""
    verdict = audit["verdict"]
    return {
        "alarms": alarms(audit),
        "three_questions": checklists.three_questions(audit),
        "hipaa": checklists.hipaa(audit),
        "iso": standards.iso_27559(audit),
        "dicom": standards.dicom_options(audit),
        "dicom_note": details.DICOM_NOTE,
        "rates_caption": details.RATES_CAPTION,
        "claim": details.claim_rows(audit),
        "claim_words": details.CLAIM_WORDS,
        "reference": details.reference_words(audit),
        "reference_rows": details.reference_rows(audit),
        "compared_rows": details.compared_rows(audit),
        "subgroup_rows": details.subgroup_rows(audit),
        "subgroup_words": details.subgroup_words(audit),
        "costs": checklists.costs(audit),
        "lower_risk": checklists.lower_risk(audit),
        "joins": [str(entry["sentence"]) for entry in audit["metadata"]["joins"]],
        "table_risk": table_risk(audit["metadata"]),
        "headline": HEADLINES[verdict["result"]],
        "lower_bound": LOWER_BOUND,
        "table_note": TABLE_NOTE,
        "limits": limits(audit),
        "doubles": doubles(audit),
        "second_dataset": joins.second_dataset_words(audit["linkage"]),
        "questions": questions(audit),
        "methods": methods_text(audit),
        "expiry": (
            f"This verdict expires {verdict['expires_after_months']} months after the day it is "
            f"signed, and earlier with {listed(verdict['would_change'], 'or')}. It holds for "
            f"{verdict['recipient']} and for nobody else."
        ),
        "footer": (
            f"{audit['methods']['program']} \u00b7 settings "
            f"{audit['methods']['settings_digest']} \u00b7 seed {audit['seed']} \u00b7 all "
            "numbers: audit.json"
        ),
    }


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
    for entry in audit["union"]:
        parts.append(
            f"{UNION_TITLES[entry['name']]}: {entry['hits']} of {entry['n']} (chance, with names "
            f"shuffled for all attacks at once, {per_hundred(entry['chance'])} of 100; people "
            f"searched for each person, on average {entry['searched']:.3g})."
        )
    if audit["metadata"]["columns"]:
        parts.append(
            f"By {listed(audit['metadata']['columns'])} the smallest class of equal people has "
            f"{audit['metadata']['smallest_class']}."
        )
    if audit["traces"]:
        looked = sum(entry["checked"] for entry in audit["traces"])
        hits = sum(entry["found"] for entry in audit["traces"])
        parts.append(
            f"The finished release was searched for identifiers in {looked} places; something "
            f"was found in {hits}."
        )
    return " ".join(parts)


def facts(audit: Mapping[str, Any]) -> list[list[str]]:
    """List the four numbers at the top of the first page."""
    people = audit["participants"]
    return [
        [str(people["released"]), "people in the release"],
        [str(people["images"]), "images in the release"],
        [str(people["attacked"]), "people attacked here"],
        [str(audit["withheld"]["images"]), "images withheld"],
    ]


def table_row(entry: Mapping[str, Any]) -> list[str]:
    """Write one attack as a row of the table of all attacks."""
    control, negative = entry["positive_control"], entry["negative_control"]
    low, high = (per_hundred(bound) for bound in entry["interval"])
    needed, reached = per_hundred(control["limit"]), per_hundred(control["interval"][0])
    wrong = negative["wrong_region"]
    limit = "none" if entry["threshold"] is None else per_hundred(entry["threshold"])
    return [
        entry["title"],
        str(entry["n"]),
        str(entry["hits"]),
        f"{low} to {high}; upper bound {per_hundred(entry['upper95'])}",
        per_hundred(entry["chance"]),
        f"{control['hits']} of {control['n']}, "
        f"{control['status']}: lower bound {reached}, needed "
        f"{needed}",
        f"names shuffled: {negative['shuffled_mean_hits']:.1f}, "
        f"{p_value(negative['p_value'])}; air only: {wrong['hits']} of {wrong['n']}",
        limit,
        entry["result"],
    ]
