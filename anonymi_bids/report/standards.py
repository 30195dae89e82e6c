"""Checklists of ISO/IEC 27559 and DICOM PS3.15 Annex E, answered by this very run.

Each line says: done, partly, or not by this tool, and why. What people must do around a program
is never called done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anonymi_bids.core.frequency import per_hundred

Audit = Mapping[str, Any]

DONE, PARTLY, NOT_HERE, NOT_USED = "done", "partly", "not by this tool", "not used"
STATUS_TONES = {DONE: "good", PARTLY: "open"}


def _faces(audit: Audit) -> Mapping[str, Any] | None:
    return next((e for e in audit["attacks"] if e["threshold"] is not None), None)


def iso_27559(audit: Audit) -> list[list[str]]:
    """Fill in the steps of ISO/IEC 27559:2022, clauses 6 to 9.

    Returns
    -------
    list of [clause, step, status, sentence]
    """
    return [*_context(audit), *_data(audit), *_identifiability(audit), *_governance(audit)]


def _context(audit: Audit) -> list[list[str]]:
    return [
        [
            "6.2.2",
            "Security and privacy practices of recipients",
            NOT_HERE,
            f"The verdict is for {audit['recipient']}; what they have signed, and how they keep "
            "the data, must be checked by people.",
        ],
        [
            "6.2.3",
            "Motives and capacity to re-identify",
            PARTLY,
            "What each attack needs (data, equipment, time) is listed; whether anybody has a "
            "motive is not known to a program.",
        ],
        [
            "6.3",
            "Transparency and impact",
            NOT_HERE,
            "What participants agreed to, who was asked, and what harm could follow are the "
            "board's questions.",
        ],
    ]


def _data(audit: Audit) -> list[list[str]]:
    people, table = audit["participants"], audit["metadata"]
    looked = sum(int(entry["checked"]) for entry in audit["traces"])
    traits = f"{len(table['columns'])} columns that others may know" if table["columns"] else ""
    left = people["not_attacked"]
    return [
        [
            "7.2.2",
            "Data principals",
            PARTLY,
            f"{people['released']} people are in the release. Whether they are children, ill, or "
            "kin of each other is not known here.",
        ],
        [
            "7.2.3",
            "Types of data",
            DONE if not left else PARTLY,
            f"{people['images']} images were counted by contrast"
            + (
                f"; {left} people could not be attacked." if left else ", and all people attacked."
            ),
        ],
        [
            "7.2.4",
            "Types of attributes",
            DONE if looked else PARTLY,
            "Direct identifiers were "
            + (f"searched for in {looked} places" if looked else "searched by the gates only")
            + (f"; {traits} were taken as indirect ones." if traits else "."),
        ],
        [
            "7.2.5",
            "Properties of the dataset",
            DONE if table["columns"] or table["protocol"] else PARTLY,
            str(table["sentence"]),
        ],
        [
            "7.3.2",
            "Maximum or average risk",
            DONE if table["risk"] else PARTLY,
            "Both are given for the table of participants."
            if table["risk"]
            else "The table of participants gives nothing to compute them from; for images the "
            "average over people is given.",
        ],
        [
            "7.3.3",
            "Population or sample-based attack",
            PARTLY,
            "Attacks search for a known person in the release (population to sample), and name "
            "released images (the other direction). The population outside is "
            + ("given." if (table["risk"] or {}).get("population_known") else "not known."),
        ],
    ]


def _identifiability(audit: Audit) -> list[list[str]]:
    face, verdict = _faces(audit), audit["verdict"]
    quantified = "No face could be attacked."
    if face is not None:
        quantified = (
            f"{face['hits']} of {face['n']} by the face, upper bound "
            f"{per_hundred(face['upper95'])} of 100, limit {per_hundred(face['threshold'])}."
        )
    attacks = audit["attacks"]
    shown = [e for e in attacks if e["positive_control"]["passed"]]
    tested = DONE if attacks and len(shown) == len(attacks) else PARTLY
    return [
        ["8.2.2", "Quantifying identifiability", DONE if face else PARTLY, quantified],
        [
            "8.2.3",
            "Adversarial testing",
            tested if attacks else NOT_HERE,
            f"{len(attacks)} attacks were run; {len(shown)} were shown to work on the originals. "
            "Commercial recognisers and people who know a participant were not tried."
            if attacks
            else "No attack was run.",
        ],
        [
            "8.3.2",
            "Reconfiguring the environment",
            PARTLY,
            f"Limits are given for {len(verdict['recipients'])} classes of recipients; contracts "
            "and closed rooms are outside a program.",
        ],
        [
            "8.3.3",
            "Transforming the data",
            DONE,
            f"Faces by the method {' and '.join(audit['methods']['defacing'])}, metadata by lists "
            f"of what is allowed; {audit['withheld']['images']} images were withheld.",
        ],
        [
            "8.3.4",
            "Re-evaluation",
            PARTLY,
            f"This report is one evaluation; it expires {verdict['expires_after_months']} months "
            "after it is signed.",
        ],
    ]


def _governance(audit: Audit) -> list[list[str]]:
    return [
        [
            "9.2.2",
            "Roles and responsibilities",
            NOT_HERE,
            "The first page has lines for those who sign; who they are is not known here.",
        ],
        [
            "9.2.3",
            "Principles, policies and procedures",
            PARTLY,
            f"The policy {audit['policy']} is recorded with every setting, so that the run can be "
            "repeated.",
        ],
        [
            "9.2.4",
            "Identifying and managing a disclosure",
            PARTLY,
            "Every file has a recorded fate and nothing leaves without a passed verdict; where "
            "the release goes is not recorded.",
        ],
        ["9.2.5", "Communicating with stakeholders", PARTLY, "By this report, in plain words."],
        [
            "9.3.2",
            "Monitoring the data environment",
            NOT_HERE,
            "New attacks and other releases of the same people must be watched for by people.",
        ],
        [
            "9.4",
            "Mitigation in case of incident",
            NOT_HERE,
            "The key in private/ allows to find and to withdraw a person's images; copies already "
            "handed out are beyond reach.",
        ],
    ]


def dicom_options(audit: Audit) -> list[list[str]]:
    """Fill in profile and options of DICOM PS3.15 Annex E, by their codes (PS3.16, CID 7050).

    The release is BIDS, not DICOM: the profile's table of attributes is met by what passes into
    sidecars.

    Returns
    -------
    list of [code, option, status, sentence]
    """
    return [*_cleaned(audit), *_retained(audit)]


_WRITTEN = "Its code is written to each sidecar"


def _cleaned(audit: Audit) -> list[list[str]]:
    """Profile and options that take something out."""
    face = _faces(audit)
    found = sum(int(entry["found"]) for entry in audit["traces"])
    basic = PARTLY if found or not audit["traces"] else DONE
    searched = (
        f"; the search of the finished release found something in {found} places."
        if audit["traces"]
        else "; the finished release was not searched."
    )
    hits = "no face could be attacked" if face is None else f"the attack: {face['result']}"
    return [
        [
            "113100",
            "Basic Application Confidentiality Profile",
            basic,
            f"By a list of fields that may pass, all others are dropped. {_WRITTEN}{searched}",
        ],
        [
            "113101",
            "Clean Pixel Data",
            NOT_HERE,
            "Text burnt into voxels is not searched for; images that say in their header that "
            "they hold such text, and captures of screens, are withheld.",
        ],
        [
            "113102",
            "Clean Recognizable Visual Features",
            DONE if face is not None and face["result"] == "meets" else PARTLY,
            f"By {' and '.join(audit['methods']['defacing'])}"
            f"{', ears included' if audit['methods']['ears'] else ', ears left'}; {hits}. "
            f"{_WRITTEN} of a defaced image.",
        ],
        ["113103", "Clean Graphics", DONE, "Overlays and annotations are not converted."],
        ["113104", "Clean Structured Content", DONE, "Reports are not converted."],
        [
            "113105",
            "Clean Descriptors",
            DONE,
            f"Free text is dropped or replaced by terms of a list. {_WRITTEN}.",
        ],
    ]


def _retained(audit: Audit) -> list[list[str]]:
    """Options that keep something."""
    table = audit["metadata"]
    joins = {entry["kind"]: entry for entry in table["joins"]}
    traits = [
        column for column in table["columns"] if column in ("age", "sex", "weight", "height")
    ]
    return [
        [
            "113106",
            "Retain Longitudinal, Full Dates",
            PARTLY if joins.get("date", {}).get("found") else NOT_USED,
            "True dates were found; take them out."
            if joins.get("date", {}).get("found")
            else "No true date is kept.",
        ],
        [
            "113107",
            "Retain Longitudinal, Modified Dates",
            PARTLY,
            "Dates of visits are moved by one unknown number of days a person; other dates are "
            "dropped. The code is not written.",
        ],
        [
            "113108",
            "Retain Patient Characteristics",
            PARTLY if traits else NOT_USED,
            f"Kept in the table of participants: {', '.join(traits)}. The code is not written."
            if traits
            else "None are kept.",
        ],
        [
            "113109",
            "Retain Device Identity",
            PARTLY,
            str(joins["device"]["sentence"])
            if "device" in joins
            else "Maker and model stay; serial numbers become pseudonyms of this dataset.",
        ],
        ["113110", "Retain UIDs", NOT_USED, "No UID is kept."],
        [
            "113111",
            "Retain Safe Private",
            PARTLY,
            "Private fields pass only as far as they became physics of the sidecar (diffusion "
            "directions, phase encoding).",
        ],
        ["113112", "Retain Institution Identity", NOT_USED, "No institution is kept."],
    ]
