"""Checklists and advice of the report, filled in from the numbers of this very audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anonymi_bids.core.frequency import per_hundred

Audit = Mapping[str, Any]

NOT_FOUND, KEPT_OUT, STAYS, SEE = "not found", "kept out", "stays", "see there"

COSTS = {
    "face_shape": (
        "a scan of the person's face from another visit",
        "a common computer and free software",
        "days to write, then minutes for a whole release",
    ),
    "head_shape": (
        "a scan of the person's whole head from another visit",
        "a common computer and free software",
        "days to write, then minutes for a whole release",
    ),
    "face_recogniser": (
        "a scan of the person's face from another visit",
        "a common computer and a free face recogniser",
        "days to write, then seconds a scan",
    ),
    "face_photo": (
        "a photograph of the person",
        "a common computer and a free face recogniser",
        "days to write, then seconds a scan",
    ),
    "brain_linkage": (
        "a scan of the person's brain with a name: a hospital's archive, another release",
        "a common computer and free software for brain images",
        "hours to set up, then about a minute a scan",
    ),
    "brain_contrast": (
        "a scan of the person's brain with a name, in any contrast",
        "a common computer and free software for brain images",
        "hours to set up, then about a minute a scan",
    ),
}
"""Attack → what must be at hand, equipment, time; estimates of this project."""

_OTHER_COSTS = (
    "a scan of the person from another visit",
    "a common computer and free software",
    "days to write, then minutes for a whole release",
)


def costs(audit: Audit) -> list[list[str]]:
    """List what each attack costs the attacker: attack, what must be at hand, equipment, time."""
    rows = [
        [str(entry["title"]), *COSTS.get(entry["name"], _OTHER_COSTS)]
        for entry in audit["attacks"]
    ]
    rows.append(
        [
            "Traits in the table of participants",
            "knowing somebody who took part, their age and sex",
            "none",
            "minutes",
        ]
    )
    rows.append(
        [
            "A photograph and a commercial recogniser (not run here)",
            "a photograph of the person",
            "an account with a provider",
            "hours; some cents a picture",
        ]
    )
    return rows


def three_questions(audit: Audit) -> list[list[str]]:
    """Answer the three questions of Opinion 05/2014 (WP 216) in a sentence each."""
    face = next((e for e in audit["attacks"] if e["threshold"] is not None), None)
    table = audit["metadata"]
    singled = "the face was not attacked"
    if face is not None:
        singled = (
            f"{face['hits']} of {face['n']} people came out first by their face (by guessing "
            f"{per_hundred(face['chance'])} of 100)"
        )
    if table["columns"]:
        singled += f", and {table['alone']} of {table['people']} are alone of their kind by "
        singled += f"{_listed(table['columns'])}"
    else:
        singled += ", and the table of participants tells nothing about them"
    linkage = audit["linkage"]
    linked = "it was not tested, and brains are known to be linkable"
    if linkage["tested"]:
        linked = (
            f"{linkage['hits']} of {linkage['n']} brains were linked with another scan, which no "
            "defacing changes"
        )
    return [
        ["Singling out", f"{singled[0].upper()}{singled[1:]}."],
        ["Linking", f"{linked[0].upper()}{linked[1:]}."],
        [
            "Inferring",
            "Age, sex and some diseases can be estimated from a brain scan; nothing here prevents "
            "that, and it was not tested.",
        ],
    ]


def hipaa(audit: Audit) -> list[list[str]]:
    """Fill in the 18 identifiers of HIPAA's safe harbour, 45 CFR 164.514(b)(2)(i)(A) to (R).

    Returns
    -------
    list of [letter, identifier, status, sentence]
        Status is one of ``not found`` (searched for), ``kept out``, ``FOUND``, ``stays``,
        ``see there`` and ``not looked for``.
    """
    traces = {str(entry["place"]).split(" ", 1)[0]: entry for entry in audit["traces"]}
    texts = _status(traces, "texts", "names", "sidecar", "text")
    # No form tells these numbers from others; that no free text passes is what keeps them out.
    kept = KEPT_OUT if texts == NOT_FOUND else texts
    joins = {entry["kind"]: entry for entry in audit["metadata"]["joins"]}
    free = "Free text is never released; fields and columns pass by a list of those allowed."
    searched = f"{free} The finished release was searched {_looked(traces, 'texts', 'sidecar')}."
    face = next((e for e in audit["attacks"] if e["threshold"] is not None), None)
    linkage = audit["linkage"]
    dates = "Dates are moved by one unknown number of days a person, into or before 1925."
    dated = _status(traces, "texts", "names") if not _found(joins, "date", "clock") else "FOUND"
    serial = "FOUND" if _found(joins, "device") else texts
    return [
        ["A", "Names", texts, searched],
        ["B", "Places smaller than a state", texts, searched],
        ["C", "Dates but the year; ages over 89", dated, f"{dates} High ages are capped."],
        ["D", "Telephone numbers", kept, free],
        ["E", "Fax numbers", kept, free],
        ["F", "E-mail addresses", texts, f"{free} Their form was searched for in all texts."],
        ["G", "Social security numbers", kept, free],
        ["H", "Medical record numbers", texts, f"{free} Original labels were searched for."],
        ["I", "Numbers of health plans", kept, free],
        ["J", "Account numbers", kept, free],
        ["K", "Numbers of certificates and licences", kept, free],
        ["L", "Vehicles and their numbers", kept, free],
        ["M", "Devices and their serial numbers", serial, _sentence(joins, "device", free)],
        ["N", "Web addresses", kept, free],
        ["O", "Network (IP) addresses", texts, f"{free} Their form was searched for."],
        [
            "P",
            "Biometric identifiers",
            STAYS,
            "A brain is as individual as a finger. "
            + (
                f"{linkage['hits']} of {linkage['n']} were linked with another scan."
                if linkage["tested"]
                else "Linking was not tested here."
            ),
        ],
        [
            "Q",
            "Full-face photographs and comparable images",
            SEE,
            "Faces were removed or replaced; "
            + (
                f"{face['hits']} of {face['n']} were recognised: {face['result']}."
                if face
                else "no face could be attacked, so nothing is known."
            ),
        ],
        [
            "R",
            "Any other unique number or code",
            STAYS,
            "Labels of people stay so that their files belong together. "
            + _protocol(audit["metadata"]["protocol"]),
        ],
    ]


def _protocol(protocol: Mapping[str, Any] | None) -> str:
    return "" if protocol is None else str(protocol["sentence"])


def _status(traces: Mapping[str, Mapping[str, Any]], *places: str) -> str:
    if not traces:
        return "not looked for"
    return (
        "FOUND" if any(traces[name]["found"] for name in places if name in traces) else NOT_FOUND
    )


def _looked(traces: Mapping[str, Mapping[str, Any]], *places: str) -> str:
    if not traces:
        return "by the gates only"
    count = sum(traces[name]["checked"] for name in places if name in traces)
    hits = sum(traces[name]["found"] for name in places if name in traces)
    return f"({count} texts and sidecars; something was found in {hits})"


def _found(joins: Mapping[str, Mapping[str, Any]], *kinds: str) -> int:
    return sum(int(joins[kind]["found"]) for kind in kinds if kind in joins)


def _sentence(joins: Mapping[str, Mapping[str, Any]], kind: str, default: str) -> str:
    return str(joins[kind]["sentence"]) if kind in joins else default


def lower_risk(audit: Audit) -> list[str]:
    """Say what would lower the risk found here, the strongest first."""
    advice = []
    verdict, table = audit["verdict"], audit["metadata"]
    if any(entry["found"] for entry in audit["traces"]):
        advice.append("Take out what looks like an identifier, then run the audit again.")
    if verdict["result"] == "does not meet":
        advice.append("Another method of removing faces, or none of the images that failed.")
    better = [row for row in verdict["recipients"] if row["result"] == "meets"]
    if verdict["result"] != "meets" and better:
        advice.append(f"Fewer recipients: for \u201c{better[0]['who']}\u201d the limit is met.")
    if audit["linkage"]["tested"] and audit["linkage"]["hits"]:
        advice.append(
            "An agreement that forbids linking: no change to the images prevents it, only the "
            "choice of who may get them, and what they sign."
        )
    if table["columns"] and table["people_above_limit"]:
        advice.append(
            f"Coarser values of {_listed(table['columns'])} (five or ten years in place of one), "
            f"or none: {table['people_above_limit']} of {table['people']} people share theirs "
            "with fewer than eleven."
        )
    protocol = table["protocol"]
    if protocol and protocol["alone"]:
        advice.append(
            f"Fewer sidecar fields: {protocol['alone']} of {protocol['people']} people have "
            "settings that nobody else has."
        )
    if any(entry.get("alone") for entry in table["joins"]):
        advice.append("No times between scans and visits, if the study does not need them.")
    if verdict["result"] == "inconclusive":
        needed = verdict["people_needed"]
        more = f" At least {needed} are needed at this number of hits." if needed else ""
        advice.append(f"More certainty, not less risk, would come from more people.{more}")
    return advice or ["Nothing beyond what was done is suggested by these numbers."]


def _listed(names: Any) -> str:
    names = [str(name) for name in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
