"""Rules for structural images: what TE, TR, TI, flip angle and sequence say of the contrast.

Limits follow common protocols at 1.5 and 3 T (e.g. Bernstein, King, Zhou, "Handbook of MRI pulse
sequences", 2004) and leave the ground between two contrasts unnamed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from anonymi_bids.dicom.decision import Decision, make, withhold
from anonymi_bids.dicom.facts import Facts

SAYS: dict[str, str] = {
    "T1w": r"\bt1|mp ?rage|\bspgr\b|\bfspgr\b|\bbravo\b|t1tfe|\btfl3d|mp2rage",
    "T2w": r"\bt2(?! ?star|s\b)|\bcube\b.*t2|\bt2 ?space",
    "FLAIR": r"flair|dark ?fluid|\btirm\b|\bda ?fl\b",
    "PDw": r"\bpd|proton|\bdp\b",
    "T2starw": r"t2 ?star|t2s\b|hemo|\bswi\b|swan|venobold|\bmegre\b|\bgre\b",
}
"""What a description says when it names a contrast."""


def special(facts: Facts) -> Decision | None:
    """Angiograms, MP2RAGE, susceptibility, balanced sequences, parts that are no magnitude."""
    if facts.says(r"mp2rage") or facts.typed("UNI"):
        if facts.typed("UNI") or facts.says(r"\buni\b"):
            return make(facts, "anat", "UNIT1", 0.85, "Uniform image of an MP2RAGE")
        inversion = re.search(r"\binv ?([12])\b", facts.words)
        if inversion and facts.part in ("mag", "phase"):
            entities = {"inv": inversion.group(1)}
            if facts.part == "phase":
                entities["part"] = "phase"
            why = (
                "Inversion of an MP2RAGE; BIDS asks for numbers of shots and excitation times "
                "that DICOM does not give, so name it in the mapping file and add them"
            )
            return make(facts, "anat", "MP2RAGE", 0.4, why, **entities)
    if facts.part != "mag":
        if "GR" in facts.sequence and (facts.te or 0) >= 10:
            return (
                make(facts, "anat", "T2starw", 0.6, "Phase of a T2*-weighted image", part="phase")
                if facts.part == "phase"
                else withhold(0.6, "It is a real or imaginary part.")
            )
        return withhold(0.7, "It is the phase, real or imaginary part of an image.")
    if facts.says(r"\b(tof|angio|mra|pc3d|venc|phase contrast)\b|time of flight"):
        if facts.says(r"\b(venc|pc3d|phase contrast)\b"):
            return withhold(0.6, "It is a flow measurement, for which BIDS has no name.")
        return make(facts, "anat", "angio", 0.75, "Angiogram by its description")
    if facts.typed("SWI") or facts.says(r"\b(swi|swan|venobold|swip)\b"):
        return make(
            facts, "anat", "T2starw", 0.65, "Susceptibility-weighted gradient echo", acq="swi"
        )
    return None


def _kind(facts: Facts) -> str:
    """``SE``, ``GR``, ``IRGR`` (magnetisation-prepared), ``IRSE``, ``SSFP`` or empty."""
    spin = "SE" in facts.sequence or facts.says(r"\b(tse|fse|space|cube|vista|haste|ssfse)\b")
    gradient = bool(facts.sequence & {"GR", "RM"}) or "fl2d" in facts.sequence_name
    prepared = "MP" in facts.variant or (facts.ti is not None and facts.ti > 50)
    if gradient and not spin:
        if "IR" in facts.sequence or prepared or facts.says(r"mp ?rage|tfl"):
            return "IRGR"
        balanced = facts.says(r"\b(ciss|fiesta|true ?fisp|trufi|b ?ffe|btfe|drive)\b")
        return "SSFP" if balanced else "GR"
    if spin or "IR" in facts.sequence:
        return "IRSE" if ("IR" in facts.sequence or (facts.ti or 0) > 50) else "SE"
    if facts.says(r"mp ?rage|\btfl3d|\bbravo\b|t1tfe"):
        return "IRGR"
    return ""


def anatomy(facts: Facts) -> Decision | None:
    """Name images by their contrast."""
    kind = _kind(facts)
    rules: dict[str, Callable[[Facts], Decision | None]] = {
        "IRGR": _prepared_gradient,
        "GR": _plain_gradient,
        "SE": _spin,
        "IRSE": _inverted_spin,
    }
    if kind == "SSFP":
        return make(facts, "anat", "T2w", 0.35, "Balanced gradient echo; BIDS has no name for it")
    decision = rules[kind](facts) if kind in rules else None
    return decision or _by_description(facts)


def _prepared_gradient(facts: Facts) -> Decision | None:
    te = facts.te
    if te is not None and te > 15:
        return None
    confidence = 0.85 if facts.acquisition == "3D" else 0.7
    return make(facts, "anat", "T1w", confidence, "Gradient echo prepared by an inversion")


def _plain_gradient(facts: Facts) -> Decision | None:
    te, tr, flip = facts.te, facts.tr, facts.flip
    if te is None or tr is None:
        return None
    if te >= 12:
        return make(facts, "anat", "T2starw", 0.8, "Gradient echo with a long echo time")
    if facts.acquisition == "3D" or tr < 60:
        if flip is not None and flip < 8 and tr > 15:
            return make(
                facts, "anat", "PDw", 0.55, "Spoiled gradient echo with a small flip angle"
            )
        return make(facts, "anat", "T1w", 0.75, "Spoiled gradient echo, short TR and TE")
    if tr <= 700 and (flip or 0) >= 50:
        return make(facts, "anat", "T1w", 0.75, "Gradient echo with a large flip angle, short TE")
    if (flip or 0) <= 30:
        return make(facts, "anat", "T2starw", 0.5, "Gradient echo with a small flip angle")
    return None


def _spin(facts: Facts) -> Decision | None:
    te, tr = facts.te, facts.tr
    if te is None or tr is None:
        return None
    if facts.says(r"flair|dark ?fluid") and te > 60:
        return make(facts, "anat", "FLAIR", 0.7, "Spin echo that is called FLAIR")
    if te <= 40 and tr < 1400:
        return make(facts, "anat", "T1w", 0.8, "Spin echo, short TR and TE")
    if te < 55 and tr >= 1400:
        return make(facts, "anat", "PDw", 0.8, "Spin echo, long TR and short TE")
    if te >= 55 and tr >= 1000:
        return make(facts, "anat", "T2w", 0.85, "Spin echo, long TR and TE")
    return None


def _inverted_spin(facts: Facts) -> Decision | None:
    te, ti = facts.te, facts.ti
    if te is None:
        return None
    if ti is None:
        if te > 60 and facts.says(SAYS["FLAIR"]):
            return make(facts, "anat", "FLAIR", 0.75, "Inversion spin echo, long TE")
        return None
    if ti > 1500 and te > 60:
        return make(facts, "anat", "FLAIR", 0.9, "Inversion spin echo, fluid nulled by a long TI")
    if 60 < ti < 300:
        return withhold(0.7, "Its inversion time nulls fat (STIR), for which BIDS has no name.")
    if 300 <= ti <= 1500 and te < 60:
        return make(facts, "anat", "T1w", 0.8, "Inversion spin echo, short TE")
    return None


def _by_description(facts: Facts) -> Decision | None:
    """Last resort where the physics is missing or odd: the description, at low confidence."""
    for suffix in ("FLAIR", "T2starw", "T1w", "T2w", "PDw"):
        if facts.says(SAYS[suffix]):
            confidence = 0.45 if facts.te is None else 0.3
            return make(facts, "anat", suffix, confidence, "Named by its description alone")
    return None
