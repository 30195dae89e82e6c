"""Tables behind the first page: more about each attack, and the reference cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anonymi_bids.core.frequency import per_hundred

Entry = Mapping[str, Any]

NAMES = {
    "face_shape": "face by shape",
    "head_shape": "head by shape",
    "face_recogniser": "face by a recogniser",
}


def p_text(value: float) -> str:
    """Write a p-value without false precision."""
    return "p\u00a0<\u00a00.001" if value < 0.001 else f"p\u00a0=\u00a0{value:.3f}"


RATES_CAPTION = (
    "People found, of 100, with exact 95\u00a0% intervals. Before is what anyone could do with "
    "the untouched images, after what they can do with the release. The dashed line is guessing."
)
CLAIM_WORDS = (
    "To show that a risk is at most the policy\u2019s limit, so many people are needed at so many "
    "found:"
)
DICOM_NOTE = (
    "The release is BIDS, not DICOM: what passes into sidecars is held against the profile. "
    "Codes: PS3.16, CID 7050. That a code is written is a statement of ours, no proof."
)


def captions(entry: Entry) -> dict[str, str]:
    """Say under each chart of an attack what is seen, for readers who are no experts."""
    gallery = (
        "The more people are searched, the harder it is to come first. The solid curves are exact "
        f"up to the {entry['n']} people at hand. "
    )
    models = entry["curves"]["after"]["beyond"]
    if models:
        names = "; ".join(str(model["model"]) for model in models)
        gallery += (
            "Beyond, dashed, two models with 95\u00a0% bands, at most ten times as far "
            f"({names}): they are no findings, and where they part nobody knows."
        )
    else:
        gallery += "They end there; nothing is said about larger groups."
    return {
        "gallery": gallery,
        "cmc": "How often the right person is among the first few. Bands: 95\u00a0% intervals "
        "(Wilson). Dashed: guessing.",
        "scores": "Scores of the same and of different people. The further apart the two, the "
        "more can be recognised; where they overlap, recognition fails.",
        "errors": "Every threshold an attacker could choose. Left (ROC): the nearer a curve to "
        "the upper left corner, the more can be recognised; dashed: guessing. Right (DET): the "
        "same with both errors on logarithmic scales; further up and right means less recognised."
        if entry["curves"]["after"]["det"]
        else "Scores and error curves are drawn from eleven people on; of fewer they would show "
        "single people.",
    }


def more_rows(entry: Entry) -> list[list[str]]:
    """Write the other statistics of an attack.

    Returns
    -------
    list of [what, value, what it means]
    """
    found = entry["statistics"]
    rows = [
        [
            "Mean of 1 / rank",
            f"{found['reciprocal_rank']:.2f}; by guessing "
            f"{found['reciprocal_rank_by_guessing']:.2f}",
            "1 if everybody comes first; it counts near misses, which the rate does not.",
        ]
    ]
    rows += _separation(entry)
    rows += _paired(found["paired"])
    if found["bootstrap"] is not None:
        low, high = (per_hundred(bound) for bound in found["bootstrap"])
        rows.append(
            [
                "Rate if other people like these had come",
                f"{low} to {high} of 100",
                "Bootstrap over people, 95\u00a0%. The verdict rests on the exact interval.",
            ]
        )
    rows += [_open_set(row) for row in found["open_set"]]
    rows += _named_pair(found["named_pair"])
    return rows


def _separation(entry: Entry) -> list[list[str]]:
    before, after = (entry["curves"][stage]["separation"] for stage in ("before", "after"))
    rows = []
    for key, name, meaning in (
        ("auc", "Area under the ROC curve", "Half is guessing; how often a true pair outscores."),
        ("eer", "Equal error rate", "As many true pairs missed as wrong pairs matched."),
        ("d_prime", "Distance of both scores (d\u2032)", "In standard deviations; 0 is guessing."),
    ):
        if before[key] is not None and after[key] is not None:
            values = f"before {before[key]:.2f}, after {after[key]:.2f}"
            rows.append([name, values.replace("-", "\u2212"), meaning])
    return rows


def _paired(paired: Entry | None) -> list[list[str]]:
    if paired is None:
        return []
    return [
        [
            "Found before only; after only",
            f"{paired['only_before']}; {paired['only_after']}",
            f"McNemar\u2019s exact test on the same people: {p_text(paired['p_value'])}. Whether "
            "the method protects at all, not whether it protects enough.",
        ]
    ]


def _open_set(row: Entry) -> list[str]:
    n, allowed = row["n"], row["false_alarms_allowed"]
    upper = per_hundred(row["false_alarms_upper95"])
    bar = (
        f"Found above every stranger (at most {upper} of 100 false alarms)"
        if allowed == 0
        else f"Found at {per_hundred(allowed)} of 100 false alarms"
    )
    return [
        bar,
        f"{per_hundred(row['found'])} of 100",
        f"TPIR at that FPIR: the attacker does not know who is in. Each of the {n} is a stranger "
        "once.",
    ]


def _named_pair(pair: Entry | None) -> list[list[str]]:
    if pair is None:
        return []
    at_most = "at least " if pair["capped"] else ""
    chances = "; ".join(
        f"{per_hundred(row['probability'])} of 100 among {row['people']:,}"
        for row in pair["posterior"]
    )
    return [
        [
            "A typical true match: that it is right",
            chances,
            f"Likelihood ratio {at_most}{pair['likelihood_ratio']:.3g}, counted as no more than "
            "the people at hand can show; all equally likely beforehand. Certain by 95 of 100 "
            f"would need {pair['ratio_for_95']:,.0f} among the people here.",
        ]
    ]


def claim_rows(audit: Entry) -> list[list[str]]:
    """Say how many people a claim needs: hits, people."""
    return [[str(h), str(n)] for h, n in enumerate(audit["verdict"]["people_for_hits"])]


def reference_rows(audit: Entry) -> list[list[str]]:
    """Put the cohort's rates beside the local ones.

    Returns
    -------
    list of [attack, method, cohort before, cohort after, guessing, here]
    """
    reference = audit["reference"]
    if reference is None:
        return []
    local = {entry["name"]: entry for entry in audit["attacks"]}
    return [
        [
            str(entry["title"]),
            str(entry["method"]),
            _rate(entry["positive_control"]),
            _rate(entry) + ("" if entry["current"] else " *"),
            f"{per_hundred(entry['chance'])} of 100",
            _rate(local[entry["name"]]) if entry["name"] in local else "not tried",
        ]
        for entry in reference["attacks"]
    ]


def _rate(entry: Entry) -> str:
    low, high = (per_hundred(bound) for bound in entry["interval"])
    return f"{entry['hits']} of {entry['n']} ({low} to {high} of 100)"


def compared_rows(audit: Entry) -> list[list[str]]:
    """Compare the methods used here with the others on the cohort: attack, methods, n, counts."""
    reference = audit["reference"]
    return [
        [
            NAMES.get(row["name"], row["name"]),
            " and ".join(row["methods"]),
            str(row["n"]),
            f"{row['found_after_first_only']}; {row['found_after_second_only']}",
            p_text(row["p_value"]),
        ]
        for row in (reference["compared"] if reference else ())
    ]


def subgroup_rows(audit: Entry) -> list[list[str]]:
    """Put the rates by group in words: attack, group, rate, p-value."""
    titles = {entry["name"]: str(entry["title"]) for entry in audit["attacks"]}
    return [
        [
            titles[row["attack"]],
            f"{row['trait']}: {row['group']}",
            _rate(row),
            p_text(row["p_value"]),
        ]
        for row in audit["subgroups"]["rows"]
    ]


def subgroup_words(audit: Entry) -> str:
    """Say what the rates by group show, or why there are none."""
    entry = audit["subgroups"]
    small = (
        f" Groups of fewer than {entry['fewest']} people are not shown "
        f"({entry['too_small']} over all attacks)."
        if entry["too_small"]
        else ""
    )
    if not entry["rows"]:
        return (
            "Whether some groups are found more often than others cannot be told: the table of "
            f"participants names no two groups by sex, age or site that are large enough.{small}"
        )
    return (
        "Everybody is searched among all; only who is counted changes. p: Fisher's exact test of "
        "the group against everybody else. With many rows some p are small by chance, so a low "
        f"one is a reason to look, not a finding.{small}"
    )


def reference_words(audit: Entry) -> str:
    """Say what the cohort is and is not."""
    reference = audit["reference"]
    if reference is None:
        return "No reference cohort is shipped for the methods used here."
    earlier = any(not entry["current"] for entry in reference["attacks"])
    return (
        f"{reference['about']} At most {reference['people']} of them, attacked when "
        f"{reference['program']} was made; not the people of this release, so nothing here "
        "decides the verdict."
        + (" *\u00a0Made by an earlier state of the program." if earlier else "")
    )
